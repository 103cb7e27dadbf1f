//! The measures by groups of users, and how far the groups are apart.

use polars::prelude::{Column, DataFrame};
use stagewright_contract::{Figure, FigureKind, Goal, Metrics, StageError};

use super::lists::{Input, QUALITIES};
use super::variety::Shown;
use super::{UserMeasures, means};
use crate::groups::{Groups, spread};
use crate::outputs::{counts, series};

/// The groups of the users that the means are over.
pub(super) struct UserGroups {
    groups: Groups,
    /// For each group, the places of its users among those that the means are over.
    members: Vec<Vec<usize>>,
}

impl UserGroups {
    /// By the column `name` of the table of users. Users who are not in it have no value.
    ///
    /// # Errors
    /// As [`Groups::read`], and when a user has two values.
    pub(super) fn read(input: &Input, table: &DataFrame, name: &str, users: &[u32]) -> Result<Self, StageError> {
        let mut groups = Groups::read(table, "users", name)?;
        let mut of_users: Vec<Option<u32>> = vec![None; input.user_ids.len()];
        for (user, group) in input.user_ids.codes(table)?.into_iter().zip(&groups.codes) {
            let Some(slot) = user.and_then(|user| of_users.get_mut(user as usize)) else { continue };
            if slot.is_some_and(|before| before != *group) {
                return Err(StageError::data(format!("a user has two values of `{name}` in `users`"))
                    .with_help("give every user one row, as with `clean.drop_duplicates`"));
            }
            *slot = Some(*group);
        }
        let mut members: Vec<Vec<usize>> = groups.names.iter().map(|_| Vec::new()).collect();
        let mut unknown = Vec::new();
        for (place, user) in users.iter().enumerate() {
            let group = of_users.get(*user as usize).copied().flatten();
            match group.and_then(|group| members.get_mut(group as usize)) {
                Some(members) => members.push(place),
                None => unknown.push(place),
            }
        }
        if !unknown.is_empty() {
            match groups.names.iter().position(Option::is_none).and_then(|missing| members.get_mut(missing)) {
                Some(missing) => missing.extend(unknown),
                None => {
                    groups.names.push(None);
                    members.push(unknown);
                }
            }
        }
        members.iter_mut().for_each(|members| members.sort_unstable());
        Ok(Self { groups, members })
    }

    /// How many of the groups have fewer users.
    pub(super) fn smaller_than(&self, least: usize) -> usize {
        self.members.iter().filter(|members| members.len() < least).count()
    }

    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    pub(super) fn column(&self) -> &str {
        &self.groups.column
    }
}

/// The measures of the groups at each K.
pub(super) struct Audit {
    names: Vec<String>,
    /// For all users and then for each group: the measures in the order of `names`.
    values: Vec<Vec<Option<f64>>>,
}

impl Audit {
    /// The measures of all users and of each group.
    pub(super) fn of(input: &Input, users: &[u32], measures: &[(usize, UserMeasures)], groups: &[UserGroups]) -> Self {
        let mut names = Vec::new();
        for (k, _) in measures {
            let qualities = QUALITIES.iter().map(|(name, _)| *name);
            names.extend(qualities.chain(["coverage", "gini", "novelty"]).map(|name| format!("{name}@{k}")));
        }
        let of_places = |places: &[usize]| {
            let members: Vec<u32> = places.iter().filter_map(|place| users.get(*place)).copied().collect();
            let at = |(k, measures): &(usize, UserMeasures)| {
                let shown = Shown::to(input, *k, &members);
                let variety = [shown.coverage().filter(|_| !members.is_empty()), shown.gini(), shown.novelty()];
                means(measures, places).into_iter().chain(variety).collect::<Vec<_>>()
            };
            measures.iter().flat_map(at).collect::<Vec<_>>()
        };
        let everybody: Vec<usize> = (0..users.len()).collect();
        let members = groups.iter().flat_map(|groups| &groups.members);
        let values = std::iter::once(&everybody).chain(members).map(|places| of_places(places)).collect();
        Self { names, values }
    }

    /// The largest difference between the groups of a column that have at least `least` users, for each measure that is
    /// an average over users.
    pub(super) fn differences(
        &self,
        metrics: &mut Metrics,
        groups: &[UserGroups],
        least: usize,
    ) -> Result<(), StageError> {
        let mut first = 1;
        for groups in groups {
            let rows = self.values.iter().skip(first).zip(&groups.members);
            let rows: Vec<_> = rows.filter(|(_, members)| members.len() >= least).map(|(row, _)| row).collect();
            for (index, name) in self.names.iter().enumerate() {
                if QUALITIES.iter().any(|(quality, _)| name.split('@').next() == Some(quality)) {
                    let difference = spread(rows.iter().map(|row| row.get(index).copied().flatten()));
                    metrics.insert(format!("{name}_difference:{}", groups.column()), difference, Goal::Minimize)?;
                }
            }
            first += groups.len();
        }
        Ok(())
    }

    /// The table of groups: all users first, then the groups of each column.
    pub(super) fn table(&self, users: usize, groups: &[UserGroups]) -> Vec<Column> {
        let mut columns: Vec<Option<&str>> = vec![None];
        let mut names: Vec<Option<&str>> = vec![None];
        let mut sizes = vec![users as u64];
        for groups in groups {
            columns.extend(groups.members.iter().map(|_| Some(groups.column())));
            names.extend(groups.groups.names.iter().map(Option::as_deref));
            sizes.extend(groups.members.iter().map(|members| members.len() as u64));
        }
        let mut table =
            vec![Column::new("column".into(), columns), Column::new("group".into(), names), counts("users", sizes)];
        table.extend(self.names.iter().enumerate().map(|(index, name)| {
            let values: Vec<Option<f64>> = self.values.iter().map(|row| row.get(index).copied().flatten()).collect();
            Column::new(name.as_str().into(), values)
        }));
        table
    }

    /// The measures that a reader compares, at the largest K.
    pub(super) fn figure(&self, k: usize, groups: &[UserGroups]) -> Figure {
        let mut labels = vec!["all users".to_owned()];
        for groups in groups {
            let label = |group: usize| format!("{} = {}", groups.column(), groups.groups.label(group));
            labels.extend((0..groups.len()).map(label));
        }
        let mut figure = Figure::new(FigureKind::Bar, "Groups of users beside each other", "group", "mean");
        for name in ["ndcg", "recall", "hit_rate"].map(|name| format!("{name}@{k}")) {
            let index = self.names.iter().position(|candidate| *candidate == name).unwrap_or(0);
            let values = self.values.iter().map(|row| row.get(index).copied().flatten());
            figure = figure.with(series(&name, labels.iter().map(String::as_str).zip(values)));
        }
        figure
    }
}
