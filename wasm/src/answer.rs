//! What became of a guest's request, as the package's `ReadResult` and `WriteResult`.

use crate::Fault;
use js_sys::{Array, Object, Reflect, Uint8Array};
use kvorum_core::data::{ReadReply, Refusal, Reply};
use kvorum_core::node::{actor_name, actors, dot_text};
use kvorum_core::sim::{Guest, GuestAnswer, GuestAsk, GuestNumber, Options, World};
use kvorum_core::version::Sibling;
use wasm_bindgen::JsValue;

/// Before the number of the read in a context: a context is a name for what that read has seen, so that a script can
/// say it. A check of the content goes with it, so that one of another cluster is known for what it is.
const CONTEXT_PREFIX: &str = "get:";

fn context_of(number: GuestNumber, guest: &Guest) -> Option<String> {
    guest.context_check().map(|check| format!("{CONTEXT_PREFIX}{}.{check:08x}", number.0))
}

/// The read of this world that a context names.
pub fn read_of(world: &World, context: &str) -> Option<GuestNumber> {
    let (number, _) = context.strip_prefix(CONTEXT_PREFIX)?.split_once('.')?;
    let number = GuestNumber(number.parse().ok()?);
    (context_of(number, world.guest(number)?).as_deref() == Some(context)).then_some(number)
}

/// The answer to a request, or why there is none.
pub fn of(world: &World, options: &Options, number: GuestNumber, guest: &Guest) -> Result<JsValue, Fault> {
    match &guest.answer {
        Some(GuestAnswer::Reply(Reply::Written(written))) => {
            Ok(object(&[("acks", written.acks.into()), ("hinted", written.hinted.into())]))
        }
        Some(GuestAnswer::Reply(Reply::Read(read))) => {
            let r = match guest.ask {
                GuestAsk::Get { r, .. } => r.unwrap_or(options.r),
                _ => options.r,
            };
            let context = context_of(number, guest);
            Ok(object(&[
                ("siblings", siblings(world, read).into()),
                ("context", context.map_or(JsValue::NULL, |context| JsValue::from_str(&context))),
                ("acks", r.min(options.n).into()),
            ]))
        }
        _ => Err(failure(guest)),
    }
}

fn failure(guest: &Guest) -> Fault {
    let refusal = match &guest.answer {
        Some(GuestAnswer::Reply(Reply::Refused(refusal))) => Some(refusal),
        _ => None,
    };
    let code = match (refusal, &guest.answer) {
        (Some(Refusal::InDoubt { .. }), _) | (_, Some(GuestAnswer::Silence)) => "IN_DOUBT",
        (Some(Refusal::BadContext | Refusal::TooLarge { .. } | Refusal::Invalid(_)), _) => "INVALID_ARGUMENT",
        _ => "NOT_DONE",
    };
    Fault {
        retryable: guest.is_retryable(),
        refusal: refusal.map(Refusal::code),
        ..Fault::new(code, guest.refusal().unwrap_or_default())
    }
}

fn siblings(world: &World, read: &ReadReply) -> Array {
    let Some(cell) = &read.cell else { return Array::new() };
    let (actors, places) = (actors(cell), world.places());
    // A value whose time is over is no value any more; what was deleted is told, for it is part of what was seen.
    let is_there = |sibling: &&Sibling| sibling.value().is_none() || sibling.is_live(world.true_ms());
    cell.siblings()
        .iter()
        .filter(is_there)
        .map(|sibling| {
            let value = sibling.value().map_or(JsValue::NULL, |value| Uint8Array::from(&value[..]).into());
            let dot = dot_text(&actor_name(&actors, &places, sibling.dot.actor), sibling.dot);
            let ends = sibling.expires_at_ms().map_or(JsValue::NULL, |at| JsValue::from_f64(at as f64));
            object(&[("value", value), ("dot", dot.into()), ("expiresAtMs", ends)])
        })
        .collect()
}

fn object(fields: &[(&str, JsValue)]) -> JsValue {
    let object = Object::new();
    for (name, value) in fields {
        // Fails for frozen objects and for proxies, and this one is new and plain.
        let _ = Reflect::set(&object, &JsValue::from_str(name), value);
    }
    object.into()
}
