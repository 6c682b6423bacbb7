//! Plans that living databases have and the catalogue has not: the file that replaces it may lack
//! them.

use berth_domain::Catalogue;
use berth_store::PlanUse;

/// What to do about one.
pub const ADVICE: &str = "give the catalogue a [[plan]] of that name again, or the databases another one: they run on, but are neither changed, started nor repaired meanwhile";

/// Those of the plans in use that are not in the catalogue.
pub fn missing<'a>(
    catalogue: &'a Catalogue,
    in_use: Vec<PlanUse>,
) -> impl Iterator<Item = PlanUse> + use<'a> {
    let mut in_use = in_use;
    in_use.retain(|used| catalogue.plan(&used.plan).is_none());
    in_use.into_iter()
}

/// The databases of a plan, by the names of a few.
pub fn databases(used: &PlanUse) -> String {
    let named = u32::try_from(used.some.len()).unwrap_or(u32::MAX);
    let names = used.some.join(", ");
    match used.databases.saturating_sub(named) {
        0 => names,
        more => format!("{names} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_that_is_gone_is_told_with_a_few_of_its_databases() {
        let catalogue = crate::catalogue::load(None, vec!["local".to_owned()]).unwrap();
        let used = |plan: &str, databases, some: &[&str]| PlanUse {
            plan: plan.to_owned(),
            databases,
            some: some.iter().map(|name| (*name).to_owned()).collect(),
        };
        let in_use = vec![
            used("db-s-1vcpu-1gb", 9, &["shop"]),
            used("db-xl", 5, &["bills", "orders", "stock"]),
            used("small", 1, &["wiki"]),
        ];
        let gone: Vec<_> = missing(&catalogue, in_use)
            .map(|used| format!("{}: {}", used.plan, databases(&used)))
            .collect();
        let expected = ["db-xl: bills, orders, stock and 2 more", "small: wiki"];
        assert_eq!(gone, expected);
    }
}
