//! What members hold of one key, for its picture: each is asked for its own, as stored, and nothing is repaired by it.

use super::{Admin, percent};
use crate::command::{from_hex, to_hex};
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use kvorum_core::base::MemberId;
use kvorum_core::data::Copies;
use kvorum_core::node::Places;
use kvorum_core::ring::View;
use kvorum_core::version::Cell;
use serde::{Deserialize, Serialize};

/// [`Copies`] as members tell each other.
#[derive(Debug, Serialize, Deserialize)]
struct Told {
    own: Option<String>,
    hints: Vec<(u16, String)>,
    is_synced: bool,
}

impl Told {
    fn of(copies: &Copies) -> Told {
        let text = |cell: &Cell| {
            let mut bytes = Vec::new();
            cell.encode(&mut bytes);
            to_hex(&bytes)
        };
        Told {
            own: copies.own.as_ref().map(text),
            hints: copies.hints.iter().map(|(target, cell)| (target.0, text(cell))).collect(),
            is_synced: copies.is_synced,
        }
    }
    /// `None` if it is not what a member of this build would say.
    fn read(&self) -> Option<Copies> {
        let cell = |text: &String| Cell::decode(&Bytes::from(from_hex(text.as_bytes())?)).ok();
        let own = match &self.own {
            None => None,
            Some(text) => Some(cell(text)?),
        };
        let hint = |(target, text): &(u16, String)| Some((MemberId(*target), cell(text)?));
        let hints = self.hints.iter().map(hint).collect::<Option<Vec<_>>>()?;
        Some(Copies { own, hints, is_synced: self.is_synced })
    }
}

/// `GET /copies/{key}`: what this node holds of a key, for another member.
pub async fn copies(State(admin): State<Admin>, uri: Uri) -> Response {
    let key = uri.path().strip_prefix("/copies/").and_then(percent::decode);
    match key {
        None => (StatusCode::BAD_REQUEST, "the key is not percent-encoded\n").into_response(),
        Some(key) => match admin.copies(&key).await {
            Ok(copies) => Json(copies.iter().map(Told::of).collect::<Vec<_>>()).into_response(),
            Err(why) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{why}\n")).into_response(),
        },
    }
}

/// What all members that answer hold of a key, by their places.
pub async fn copies_of(admin: &Admin, view: &View, places: &Places, key: &[u8]) -> Vec<(u32, Copies)> {
    let path = format!("/copies/{}", percent::encode(key));
    let (own, others) = tokio::join!(admin.copies(key), admin.ask_members(view, &path));
    let mut held: Vec<(MemberId, Copies)> =
        own.into_iter().flatten().map(|copies| (view.me, copies)).collect();
    for (id, body) in others {
        let told: Vec<Told> = serde_json::from_slice(&body).unwrap_or_default();
        held.extend(told.iter().filter_map(Told::read).map(|copies| (id, copies)));
    }
    held.sort_by_key(|(id, _)| *id);
    held.into_iter().filter_map(|(id, copies)| Some((places.at(id)?, copies))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_cell_is_not_believed() {
        let told = |own: &str| Told { own: Some(own.into()), hints: Vec::new(), is_synced: true };
        for own in ["", "zz", "00", "01ffffffffff"] {
            assert!(told(own).read().is_none(), "{own}");
        }
        let nothing = Told::of(&Copies::default()).read().unwrap();
        assert!(nothing.own.is_none() && nothing.hints.is_empty());
    }
}
