//! Who sends a request.

use std::collections::BTreeMap;

use serde::Serialize;

/// A user as Kubernetes' reviews and headers describe one
/// (`k8s.io/apiserver/pkg/authentication/user`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize)]
pub struct User {
    /// `system:serviceaccount:kube-system:horizontal-pod-autoscaler` for one.
    pub name: String,
    /// What tells it from an earlier user of the same name; empty where nobody says.
    pub uid: String,
    /// The groups that it is in.
    pub groups: Vec<String>,
    /// What else the authenticator says, by lower-case key.
    pub extra: BTreeMap<String, Vec<String>>,
}

/// May do everything: no review is asked for.
pub const MASTERS: &str = "system:masters";
/// Everyone whose credentials were believed.
pub const AUTHENTICATED: &str = "system:authenticated";
/// Everyone without credentials.
pub const UNAUTHENTICATED: &str = "system:unauthenticated";

impl User {
    /// Who shows no credentials at all.
    pub fn anonymous() -> Self {
        Self {
            name: "system:anonymous".to_owned(),
            groups: vec![UNAUTHENTICATED.to_owned()],
            ..Self::default()
        }
    }

    /// Adds [`AUTHENTICATED`], unless the user is anonymous or in one of the two groups already
    /// (`k8s.io/apiserver/pkg/authentication/group/authenticated_group_adder.go`).
    #[must_use]
    pub fn authenticated(mut self) -> Self {
        let told = |group: &String| group == AUTHENTICATED || group == UNAUTHENTICATED;
        if self.name != "system:anonymous" && !self.groups.iter().any(told) {
            self.groups.push(AUTHENTICATED.to_owned());
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_user_but_an_anonymous_one_is_authenticated() {
        let user = User { name: "jo".to_owned(), ..User::default() }.authenticated();
        assert_eq!(user.groups, [AUTHENTICATED]);
        assert_eq!(user.clone().authenticated(), user);
        assert_eq!(User::anonymous().authenticated(), User::anonymous());
    }
}
