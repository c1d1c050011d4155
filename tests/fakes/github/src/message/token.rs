//! Template tokens: YAML whose expressions the runner evaluates.

use serde_json::{Value as Json, json};

use crate::{
    value::whole,
    workflow::{ExpressionError, Node, NodeKind, Piece, pieces},
};

/// The token of a node. Keys have no place, values have.
///
/// # Errors
/// An expression is not closed.
pub(crate) fn token(node: &Node) -> Result<Json, ExpressionError> {
    let place = |token: Json| placed(token, node);
    Ok(match &node.kind {
        NodeKind::Null => place(json!({"type": 7})),
        NodeKind::Bool(truth) => place(json!({"type": 5, "bool": truth})),
        NodeKind::Number(number) => place(json!({"type": 6, "num": number_json(*number)})),
        NodeKind::String(text) => place(scalar(text)?),
        NodeKind::Sequence(items) => {
            let items = items.iter().map(token).collect::<Result<Vec<_>, _>>()?;
            place(json!({"type": 1, "seq": items}))
        }
        NodeKind::Mapping(entries) => {
            let mut map = Vec::with_capacity(entries.len());
            for (key, value) in entries {
                map.push(json!({"Key": key_token(key)?, "Value": token(value)?}));
            }
            place(json!({"type": 2, "map": map}))
        }
    })
}

fn key_token(key: &Node) -> Result<Json, ExpressionError> {
    let text = key.text().unwrap_or_default();
    match pieces(&text)?.as_slice() {
        [Piece::Expression(directive)] if directive == "insert" => {
            Ok(json!({"type": 4, "directive": "insert"}))
        }
        _ => scalar(&text),
    }
}

fn placed(mut token: Json, node: &Node) -> Json {
    if let Json::Object(members) = &mut token {
        members.insert("file".to_owned(), json!(1));
        members.insert("line".to_owned(), json!(node.line));
        members.insert("col".to_owned(), json!(node.column));
    }
    token
}

fn number_json(number: f64) -> Json {
    whole(number).map_or_else(|| json!(number), |whole| json!(whole))
}

/// The token of a text, without a place.
///
/// # Errors
/// An expression is not closed.
fn scalar(text: &str) -> Result<Json, ExpressionError> {
    let pieces = pieces(text)?;
    Ok(match pieces.as_slice() {
        [Piece::Expression(expression)] => json!({"type": 3, "expr": expression}),
        [] | [Piece::Text(_)] => json!({"type": 0, "lit": text}),
        _ => json!({"type": 3, "expr": formatted(&pieces)}),
    })
}

/// Text with expressions in it, as the one expression that GitHub makes of it.
pub(crate) fn formatted(pieces: &[Piece]) -> String {
    let mut pattern = String::new();
    let mut arguments = String::new();
    let mut count = 0;
    for piece in pieces {
        match piece {
            Piece::Text(text) => {
                pattern.push_str(&text.replace('\'', "''").replace('{', "{{").replace('}', "}}"));
            }
            Piece::Expression(expression) => {
                pattern.push_str(&format!("{{{count}}}"));
                arguments.push_str(", ");
                arguments.push_str(expression);
                count += 1;
            }
        }
    }
    format!("format('{pattern}'{arguments})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mixed_text_becomes_one_expression() {
        let node = Node::read("echo \"got ${{ needs.producer.outputs.value }}\" it's {x}").unwrap();
        assert_eq!(
            token(&node).unwrap()["expr"],
            "format('echo \"got {0}\" it''s {{x}}', needs.producer.outputs.value)"
        );
    }

    #[test]
    fn tokens_keep_types_and_places() {
        let node = Node::read("a: 1\nb: [x, true, '}}${{ ''}}'' }}']\n").unwrap();
        let token = token(&node).unwrap();
        assert_eq!(token["map"][0]["Key"], json!({"type": 0, "lit": "a"}));
        assert_eq!(token["map"][0]["Value"], json!({"type": 6, "num": 1, "file": 1, "line": 1, "col": 4}));
        assert_eq!(token["map"][1]["Value"]["seq"][1]["bool"], true);
        assert_eq!(token["map"][1]["Value"]["seq"][2]["expr"], "format('}}}}{0}', '}}')");
    }
}
