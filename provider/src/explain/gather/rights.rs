//! Who may do what. kube-apiserver reviews it; roles are not read, since not all rights are RBAC's.

use futures::future::join_all;
use k8s_openapi::api::{
    authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec},
    autoscaling::v2::HorizontalPodAutoscaler,
};
use kube::{Api, Client, api::PostParams};

use crate::{
    demand::reference,
    explain::{
        facts::{Found, Right, Whose},
        gather::ask,
    },
};

/// The HPA controller, wherever the controllers run with service accounts of their own.
const CONTROLLER: (&str, &str) = ("kube-system", "horizontal-pod-autoscaler");

/// One question.
struct Question {
    whose: Whose,
    namespace: String,
    account: String,
    attributes: ResourceAttributes,
}

pub(super) async fn gather(
    client: &Client,
    hpa: &HorizontalPodAutoscaler,
    provider: &str,
    account: &str,
) -> Vec<Right> {
    join_all(questions(hpa, provider, account).into_iter().map(|it| review(client, it))).await
}

fn questions(hpa: &HorizontalPodAutoscaler, provider: &str, account: &str) -> Vec<Question> {
    let about = |verb: &str, group: &str, resource: &str| ResourceAttributes {
        verb: Some(verb.to_owned()),
        group: Some(group.to_owned()),
        resource: Some(resource.to_owned()),
        ..ResourceAttributes::default()
    };
    let metrics = hpa.spec.iter().flat_map(|spec| spec.metrics.iter().flatten());
    let names = metrics.filter(|metric| metric.type_ == "External");
    let mut names: Vec<_> = names
        .filter_map(|metric| Some(metric.external.as_ref()?.metric.name.to_lowercase()))
        .collect();
    names.sort_unstable();
    names.dedup();
    let controllers = names.iter().map(|name| Question {
        whose: Whose::Controller,
        namespace: CONTROLLER.0.to_owned(),
        account: CONTROLLER.1.to_owned(),
        attributes: ResourceAttributes {
            namespace: hpa.metadata.namespace.clone(),
            version: Some("v1beta1".to_owned()),
            ..about("list", "external.metrics.k8s.io", name)
        },
    });
    let mut needed = vec![
        about("list", "autoscaling", "horizontalpodautoscalers"),
        about("watch", "autoscaling", "horizontalpodautoscalers"),
        about("create", "authentication.k8s.io", "tokenreviews"),
        about("create", "authorization.k8s.io", "subjectaccessreviews"),
        ResourceAttributes {
            namespace: Some("kube-system".to_owned()),
            name: Some("extension-apiserver-authentication".to_owned()),
            ..about("get", "", "configmaps")
        },
    ];
    if names.iter().any(|name| reference::parse(name).is_some()) {
        needed.push(about("list", "datadoghq.com", "datadogmetrics"));
    }
    let providers = needed.into_iter().map(|attributes| Question {
        whose: Whose::Provider,
        namespace: provider.to_owned(),
        account: account.to_owned(),
        attributes,
    });
    controllers.chain(providers).collect()
}

async fn review(client: &Client, question: Question) -> Right {
    let Question { whose, namespace, account, attributes } = question;
    let user = format!("system:serviceaccount:{namespace}:{account}");
    let what = what(&attributes);
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(user.clone()),
            groups: Some(vec![
                "system:serviceaccounts".to_owned(),
                format!("system:serviceaccounts:{namespace}"),
                "system:authenticated".to_owned(),
            ]),
            resource_attributes: Some(attributes),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    };
    let api: Api<SubjectAccessReview> = Api::all(client.clone());
    let right = "create subjectaccessreviews.authorization.k8s.io";
    let allowed = match ask(right, api.create(&PostParams::default(), &review)).await {
        Found::Is(review) if review.status.as_ref().is_some_and(|it| it.allowed) => Found::Is(()),
        Found::Is(_) => Found::Missing,
        Found::Missing => Found::Unknown("not known: kube-apiserver reviews no rights".to_owned()),
        Found::Unknown(why) => Found::Unknown(why),
    };
    Right { whose, user, what, allowed }
}

/// `list horizontalpodautoscalers.autoscaling`.
fn what(attributes: &ResourceAttributes) -> String {
    let part = |part: &Option<String>| part.clone().unwrap_or_default();
    let resource = match part(&attributes.group).as_str() {
        "" => part(&attributes.resource),
        group => format!("{}.{group}", part(&attributes.resource)),
    };
    let name = attributes.name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
    let namespace = attributes.namespace.as_ref();
    let namespace = namespace.map(|it| format!(" in namespace {it}")).unwrap_or_default();
    format!("{} {resource}{name}{namespace}", part(&attributes.verb))
}
