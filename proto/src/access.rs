//! Who may do what: roles, the areas they act in, and the actor that every event names.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    area::{AreaCode, Level},
    code::{Code, Coded},
    time::Timestamp,
};

/// What somebody is employed to do here.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// 网格员: files in its own grids and settles there what can be settled on the spot.
    GridWorker,
    /// 社区 staff.
    Community,
    /// 街道 or 镇 staff.
    Street,
    /// 综治中心 staff of the district.
    Centre,
    /// Reads figures and events, without personal data; changes nothing.
    Analyst,
    /// Runs the installation: all of the centre's rights, imports, and forgetting of persons.
    Admin,
    /// A service of Gridkeeper acting by itself, such as the escalator.
    Service,
}

impl Role {
    /// The highest level whose cases this role may act on; none for who only reads.
    #[must_use]
    pub fn reach(self) -> Option<Level> {
        match self {
            Self::GridWorker => Some(Level::Grid),
            Self::Community => Some(Level::Community),
            Self::Street => Some(Level::Street),
            Self::Centre | Self::Admin | Self::Service => Some(Level::City),
            Self::Analyst => None,
        }
    }
    /// The level at which the role's own areas lie; none for roles that may be given areas of any level.
    #[must_use]
    pub fn level(self) -> Option<Level> {
        match self {
            Self::GridWorker => Some(Level::Grid),
            Self::Community => Some(Level::Community),
            Self::Street => Some(Level::Street),
            Self::Centre | Self::Analyst | Self::Admin | Self::Service => None,
        }
    }
}

/// Who caused an event, as the event keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Actor {
    /// The person's or service's id, as its token names it.
    pub id: String,
    /// The role it acted in.
    pub role: Role,
}

impl Actor {
    const GRIDKEEPER: &str = "gridkeeper";

    /// Gridkeeper itself, for what nobody does.
    #[must_use]
    pub fn gridkeeper() -> Self {
        Self {
            id: Self::GRIDKEEPER.to_owned(),
            role: Role::Service,
        }
    }

    /// Whether it is Gridkeeper itself.
    #[must_use]
    pub fn is_gridkeeper(&self) -> bool {
        self.role == Role::Service && self.id == Self::GRIDKEEPER
    }
}

/// What a token says of its bearer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    /// Who: 1 to 64 characters.
    pub sub: String,
    /// The role.
    pub role: Role,
    /// The areas the bearer acts in, and all that lies in them.
    pub areas: Vec<AreaCode>,
    /// Issued at, seconds since 1970.
    pub iat: u64,
    /// Not valid from this second since 1970 on.
    pub exp: u64,
}

/// Why the bearer may not do what it asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// The area is not the bearer's.
    #[error("area {area} is not yours: your token is for {yours}")]
    OutsideArea {
        /// The area asked for.
        area: AreaCode,
        /// The areas of the token, separated by commas.
        yours: String,
    },
    /// The role does not do this.
    #[error("the role {role:?} may not {what}")]
    Role {
        /// The bearer's role.
        role: Role,
        /// What was asked.
        what: &'static str,
    },
}

impl Coded for AccessError {
    fn code(&self) -> Code {
        match self {
            Self::OutsideArea { .. } => Code(5),
            Self::Role { .. } => Code(6),
        }
    }
}

/// Why claims are not ones that this system issues or accepts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimsError {
    /// The name is empty, too long or holds control characters.
    #[error(
        "'sub' has to be 1 to {} characters, none of them a control character",
        Claims::SUB_LONGEST
    )]
    Sub,
    /// No area at all.
    #[error("'areas' is empty: a token has to name the areas it is for")]
    NoArea,
    /// The role works at one level, and the area lies at another.
    #[error("the role {role:?} is for areas of the level {expected:?}, not for {area}")]
    Level {
        /// The role.
        role: Role,
        /// The level of its areas.
        expected: Level,
        /// The area that is none of them.
        area: AreaCode,
    },
    /// The area lies in another district.
    #[error("area {area} does not lie in the district {district}")]
    District {
        /// The area.
        area: AreaCode,
        /// The district that is served here.
        district: AreaCode,
    },
    /// It would end before it begins.
    #[error("'exp' ({exp}) does not come after 'iat' ({iat})")]
    Span {
        /// Issued at, seconds since 1970.
        iat: u64,
        /// Expires at, seconds since 1970.
        exp: u64,
    },
}

impl Coded for ClaimsError {
    fn code(&self) -> Code {
        Code(7)
    }
}

impl Claims {
    /// The longest name of a bearer, in characters.
    pub const SUB_LONGEST: usize = 64;

    /// Claims that hold from now on for so many seconds.
    #[must_use]
    pub fn lasting(
        sub: String,
        role: Role,
        areas: Vec<AreaCode>,
        now: Timestamp,
        seconds: u64,
    ) -> Self {
        let iat = now.seconds();
        Self {
            sub,
            role,
            areas,
            iat,
            exp: iat.saturating_add(seconds),
        }
    }

    /// Whether these are claims that may be issued and accepted: a usable name, areas of the level that
    /// the role works at, and an end after the beginning.
    ///
    /// # Errors
    /// [`ClaimsError`].
    pub fn check(&self) -> Result<(), ClaimsError> {
        let length = self.sub.chars().take(Self::SUB_LONGEST + 1).count();
        if !(1..=Self::SUB_LONGEST).contains(&length) || self.sub.chars().any(char::is_control) {
            return Err(ClaimsError::Sub);
        }
        if self.areas.is_empty() {
            return Err(ClaimsError::NoArea);
        }
        if let Some(expected) = self.role.level()
            && let Some(area) = self.areas.iter().find(|area| area.level() != expected)
        {
            return Err(ClaimsError::Level {
                role: self.role,
                expected,
                area: *area,
            });
        }
        if self.exp <= self.iat {
            return Err(ClaimsError::Span {
                iat: self.iat,
                exp: self.exp,
            });
        }
        Ok(())
    }

    /// Whether all areas lie in the district.
    ///
    /// # Errors
    /// [`ClaimsError::District`] with the first that does not.
    pub fn only_in(&self, district: AreaCode) -> Result<(), ClaimsError> {
        match self.areas.iter().find(|area| !district.contains(area)) {
            None => Ok(()),
            Some(area) => Err(ClaimsError::District {
                area: *area,
                district,
            }),
        }
    }

    /// Whether the claims have run out: `exp` is the first second in which they do not hold.
    #[must_use]
    pub fn expired(&self, now: Timestamp) -> bool {
        now.seconds() >= self.exp
    }

    /// The bearer as events name it.
    #[must_use]
    pub fn actor(&self) -> Actor {
        Actor {
            id: self.sub.clone(),
            role: self.role,
        }
    }

    /// Whether the area is one of the bearer's or lies in one.
    ///
    /// # Errors
    /// [`AccessError::OutsideArea`].
    pub fn within(&self, area: AreaCode) -> Result<(), AccessError> {
        if self.areas.iter().any(|own| own.contains(&area)) {
            return Ok(());
        }
        let yours: Vec<_> = self.areas.iter().map(AreaCode::as_str).collect();
        Err(AccessError::OutsideArea {
            area,
            yours: yours.join(", "),
        })
    }

    /// Whether the bearer may file a report in the grid.
    ///
    /// # Errors
    /// [`AccessError`].
    pub fn may_file(&self, grid: AreaCode) -> Result<(), AccessError> {
        if self.role == Role::Analyst {
            return Err(AccessError::Role {
                role: self.role,
                what: "file reports",
            });
        }
        self.within(grid)
    }

    /// Whether the bearer may file reports with the times of another system's record.
    ///
    /// # Errors
    /// [`AccessError::Role`].
    pub fn may_import(&self) -> Result<(), AccessError> {
        match self.role {
            Role::Admin => Ok(()),
            role => Err(AccessError::Role {
                role,
                what: "import records of another system",
            }),
        }
    }

    /// Whether the bearer sees names, phones and identity numbers of parties in its area.
    #[must_use]
    pub fn sees_parties(&self) -> bool {
        self.role != Role::Analyst
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(role: Role, areas: &[&str]) -> Claims {
        let areas = areas.iter().map(|area| area.parse().unwrap()).collect();
        let now = Timestamp::from_millis(1_700_000_000_999).unwrap();
        Claims::lasting("wang.li".to_owned(), role, areas, now, 60)
    }

    const DISTRICT: &str = "510402";
    const STREET: &str = "510402002";
    const COMMUNITY: &str = "510402002005";
    const GRID: &str = "51040200200507";

    #[test]
    fn roles_of_one_level_hold_areas_of_that_level_only() {
        let levels = [
            (Role::GridWorker, GRID),
            (Role::Community, COMMUNITY),
            (Role::Street, STREET),
        ];
        for (role, own) in levels {
            for area in [DISTRICT, STREET, COMMUNITY, GRID] {
                let checked = claims(role, &[own, area]).check();
                assert_eq!(checked.is_ok(), area == own, "{role:?} {area}: {checked:?}");
            }
        }
        for role in [Role::Centre, Role::Analyst, Role::Admin, Role::Service] {
            assert_eq!(claims(role, &[DISTRICT, STREET, GRID]).check(), Ok(()));
        }
    }

    #[test]
    fn names_are_1_to_64_characters_without_control_characters() {
        let mut claims = claims(Role::Centre, &[DISTRICT]);
        for (sub, fine) in [
            (String::new(), false),
            ("网".repeat(64), true),
            ("a".repeat(65), false),
            ("a\nb".to_owned(), false),
        ] {
            claims.sub = sub;
            assert_eq!(claims.check().is_ok(), fine, "{:?}", claims.sub);
        }
    }

    #[test]
    fn claims_without_areas_or_duration_are_refused() {
        assert_eq!(claims(Role::Centre, &[]).check(), Err(ClaimsError::NoArea));
        let mut ended = claims(Role::Centre, &[DISTRICT]);
        ended.exp = ended.iat;
        assert!(matches!(ended.check(), Err(ClaimsError::Span { .. })));
    }

    #[test]
    fn areas_of_another_district_are_found() {
        let both = claims(Role::Centre, &[STREET, "510403"]);
        let district = DISTRICT.parse().unwrap();
        let area = "510403".parse().unwrap();
        assert_eq!(
            both.only_in(district),
            Err(ClaimsError::District { area, district })
        );
        assert_eq!(claims(Role::Centre, &[STREET]).only_in(district), Ok(()));
    }

    #[test]
    fn claims_end_with_their_last_second() {
        let claims = claims(Role::Centre, &[DISTRICT]);
        let end = Timestamp::from_millis(1_700_000_060_000).unwrap();
        assert!(!claims.expired(end.plus_millis(-1)));
        assert!(claims.expired(end));
    }
}
