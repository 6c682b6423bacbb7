use super::Violation;
use crate::path::Path;
use crate::types::Type;
use crate::value::Value;

/// Whether `value` is of type `ty`, reporting the first place at which it is not.
pub fn conforms(value: &Value, ty: &Type, path: &Path) -> Result<(), Violation> {
    match (value, ty) {
        (Value::Null | Value::Unknown(_), _)
        | (Value::Bool(_), Type::Bool)
        | (Value::Number(_), Type::Number)
        | (Value::String(_), Type::String) => Ok(()),
        (Value::List(elements), Type::List(ty)) => elements
            .iter()
            .enumerate()
            .try_for_each(|(index, element)| conforms(element, ty, &path.index(index))),
        (Value::Set(set), Type::Set(ty)) => set
            .iter()
            .try_for_each(|element| conforms(element, ty, &path.set_element())),
        (Value::Map(map), Type::Map(ty)) => map
            .iter()
            .try_for_each(|(key, element)| conforms(element, ty, &path.key(key))),
        (Value::Object(object), Type::Object(ty)) if object.names() == ty.names() => object
            .iter()
            .zip(ty.types())
            .try_for_each(|((name, value), ty)| conforms_inside(value, ty, path, name)),
        (Value::Tuple(elements), Type::Tuple(types)) if elements.len() == types.len() => elements
            .iter()
            .zip(types)
            .enumerate()
            .try_for_each(|(index, (element, ty))| conforms(element, ty, &path.index(index))),
        (Value::Dynamic(typed), Type::Dynamic) if typed.ty != Type::Dynamic => {
            conforms(&typed.value, &typed.ty, path)
        }
        (value, ty) => {
            let problem = format!("{} is not of type {}", value.kind(), ty.to_json());
            Err(Violation::new(path, problem))
        }
    }
}

/// As [`conforms`], for the attribute `name` below `path`. Most attributes are plain values
/// that conform; no path is made for those.
pub(crate) fn conforms_inside(
    value: &Value,
    ty: &Type,
    path: &Path,
    name: &str,
) -> Result<(), Violation> {
    match (value, ty) {
        (Value::Null | Value::Unknown(_), _)
        | (Value::Bool(_), Type::Bool)
        | (Value::Number(_), Type::Number)
        | (Value::String(_), Type::String) => Ok(()),
        _ => conforms(value, ty, &path.attribute(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_place_that_differs_is_named() {
        let ty = Type::object([("rules", Type::list(Type::object([("id", Type::Number)])))]);
        let rules =
            |id: Value| Value::object([("rules", Value::list([Value::object([("id", id)])]))]);
        assert_eq!(conforms(&rules(1.into()), &ty, &Path::root()), Ok(()));
        assert_eq!(
            conforms(&rules(Value::unknown()), &ty, &Path::root()),
            Ok(())
        );
        let violation = conforms(&rules("1".into()), &ty, &Path::root()).unwrap_err();
        assert_eq!(
            violation.to_string(),
            "rules[0].id: a string is not of type \"number\""
        );
        let other = Value::object([("other", Value::Null)]);
        assert!(conforms(&other, &ty, &Path::root()).is_err());
    }
}
