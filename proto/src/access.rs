//! Who may do what: roles, the areas they act in, and the actor that every event names.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    area::{AreaCode, Level},
    code::{Code, Coded},
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
}

/// Who caused an event, as the event keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Actor {
    /// The person's or service's id, as its token names it.
    pub id: String,
    /// The role it acted in.
    pub role: Role,
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

impl Claims {
    /// The bearer as events name it.
    #[must_use]
    pub fn actor(&self) -> Actor {
        Actor { id: self.sub.clone(), role: self.role }
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
        Err(AccessError::OutsideArea { area, yours: yours.join(", ") })
    }

    /// Whether the bearer may file a report in the grid.
    ///
    /// # Errors
    /// [`AccessError`].
    pub fn may_file(&self, grid: AreaCode) -> Result<(), AccessError> {
        if self.role == Role::Analyst {
            return Err(AccessError::Role { role: self.role, what: "file reports" });
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
            role => Err(AccessError::Role { role, what: "import records of another system" }),
        }
    }

    /// Whether the bearer sees names, phones and identity numbers of parties in its area.
    #[must_use]
    pub fn sees_parties(&self) -> bool {
        self.role != Role::Analyst
    }
}
