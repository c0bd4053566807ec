//! Who answers for a post at a moment.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Member, Roster};
use crate::time::Timestamp;

/// Who answers for a post.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Held {
    /// The post.
    pub post: String,
    /// Whose A post it is.
    pub person: String,
    /// Whoever stands in as X, when that person is not on duty and somebody else is.
    pub stand_in: Option<StandIn>,
    /// Whether anybody answers for it now.
    pub on_duty: bool,
    /// When the next one is on duty, where nobody is; none where nobody is planned.
    pub next_on_duty: Option<Timestamp>,
}

/// Somebody answers for another's post.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StandIn {
    /// Who.
    pub person: String,
    /// That person's own A post.
    pub post: String,
    /// Until when: then the post's own member or another X is there, or nobody.
    pub until: Option<Timestamp>,
}

impl Member {
    /// Whether the member is X for a post.
    #[must_use]
    pub fn is_x_for(&self, post: &str) -> bool {
        match &self.stands_in_for {
            None => self.post != post,
            Some(posts) => posts.iter().any(|own| own == post),
        }
    }
}

impl Roster {
    /// Who answers for a post at a moment; none for a post that the team does not have.
    #[must_use]
    pub fn holds(&self, post: &str, at: Timestamp) -> Option<Held> {
        let own = self.a_holder(post, at)?;
        let answering = self.answering(own, at);
        let edges = self.edges(at);
        let changed = |edge: &&Timestamp| {
            let own = self.a_holder(post, **edge);
            let then = own.and_then(|own| self.answering(own, **edge));
            then.map(|member| &member.person) != answering.map(|member| &member.person)
        };
        let changes = edges.iter().find(changed).copied();
        let stand_in = answering.filter(|member| member.person != own.person);
        Some(Held {
            post: post.to_owned(),
            person: own.person.clone(),
            stand_in: stand_in.map(|member| StandIn {
                person: member.person.clone(),
                post: member.post.clone(),
                until: changes,
            }),
            on_duty: answering.is_some(),
            next_on_duty: changes.filter(|_| answering.is_none()),
        })
    }

    /// Who answers for a person's A post at a moment; none for somebody who is no member.
    #[must_use]
    pub fn holds_of(&self, person: &str, at: Timestamp) -> Option<Held> {
        self.holds(&self.member(person, at)?.post, at)
    }

    /// The members for whom somebody answers at a moment: the own post, and those that they stand in for.
    pub fn served_by(&self, person: &str, at: Timestamp) -> impl Iterator<Item = &Member> {
        self.team(at).iter().filter(move |own| {
            let answering = self.answering(own, at);
            let by = answering.map_or(own.person.as_str(), |member| member.person.as_str());
            by == person
        })
    }

    /// Whose A post it is at a moment.
    fn a_holder(&self, post: &str, at: Timestamp) -> Option<&Member> {
        self.team(at).iter().find(|member| member.post == post)
    }

    /// The post's own member if on duty, else the first X who is.
    fn answering<'a>(&'a self, own: &'a Member, at: Timestamp) -> Option<&'a Member> {
        if self.is_on_duty(&own.person, at) {
            return Some(own);
        }
        self.on_duty(at)
            .find(|member| member.person != own.person && member.is_x_for(&own.post))
    }
}
