//! The numbers that hold for everything.

use maud::{Markup, html};

use crate::{
    lead::{LeaseView, Role},
    page::{model::Model, view::seconds},
};

/// Metrics, budget, calls and leader.
pub(super) fn tiles(model: &Model) -> Markup {
    let asking = &model.asking;
    let (valid, metrics) = model.metrics;
    let (in_trouble, _, autoscalers) = model.autoscalers;
    html! {
        dl.tiles {
            div.tile {
                dt { "Metrics with a fresh value" }
                dd { (valid) " of " (metrics) small { (asking.refused) " refused by Datadog" } }
            }
            div.tile {
                dt { "Autoscalers in trouble" }
                dd { (in_trouble) " of " (autoscalers) }
            }
            div.tile {
                dt { "Datadog's query budget" }
                @match asking.budget {
                    Some(budget) => {
                        dd {
                            (budget.remaining) " of " (budget.limit)
                            small { "anew in " (seconds(budget.reset)) }
                        }
                        progress max=(budget.limit) value=(budget.remaining) aria-label="budget left" {}
                    }
                    None => dd { "–" small { "no answer has told it" } },
                }
            }
            div.tile {
                dt { "Calls to Datadog" }
                dd {
                    (format!("{:.0}", asking.calls_per_hour)) " an hour"
                    small { "each metric every " (seconds(asking.period)) }
                }
            }
            (leader(model))
        }
    }
}

fn leader(model: &Model) -> Markup {
    let leadership = &model.leadership;
    let role = match leadership.role {
        Role::Leader => "This replica leads",
        Role::Follower => "This replica follows",
    };
    html! {
        div.tile.leader {
            dt { "Leader" }
            @match &leadership.lease {
                Some(LeaseView { name, holder, acquired, transitions, .. }) => dd {
                    @if holder.is_empty() { "nobody" } @else { (holder) }
                    small {
                        (role) ", Lease " (name)
                        @if let Some(acquired) = acquired { ", since " (acquired.strftime("%Y-%m-%d %H:%M")) }
                        ", " (transitions) " changes"
                    }
                },
                None => dd { (role) small { "no election, or no Lease read yet" } },
            }
        }
    }
}
