use crate::Fault;
use crate::answer;
use bytes::Bytes;
use js_sys::Float64Array;
use kvorum_core::base::{BTreeSet, Micros};
use kvorum_core::sim::{
    Action, GuestAsk, GuestNumber, LAST_ANSWERS, NodeIndex, Options, Rest, Script, Verdict, World,
    calm_script, default_script,
};
use kvorum_core::version::Resolve;
use serde::Serialize;
use serde_wasm_bindgen::Serializer;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

/// Numbers for each message under way; `FLIGHT_FIELDS` in the package.
const FLIGHT_FIELDS: usize = 8;

/// A whole cluster in one thread: core's `World`, and what a caller did to it.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Cluster {
    world: World,
    options: Options,
    is_drawn: bool,
    /// What the checkers said at the end of a script that leaves faults behind.
    last_verdict: Option<Verdict>,
    /// On the way to saying it.
    rest: Option<Box<Rest>>,
}

/// How a calm cluster is made.
#[wasm_bindgen]
#[derive(Debug, Clone, Copy)]
pub struct Calm {
    /// How many.
    pub nodes: u8,
    /// Replicas of each key.
    pub n: u8,
    /// Answers that a read waits for.
    pub r: u8,
    /// Acknowledgements that a write waits for.
    pub w: u8,
    /// Whether concurrent values are all kept.
    #[wasm_bindgen(js_name = keepsSiblings)]
    pub keeps_siblings: bool,
    /// Q.
    pub partitions: u16,
    /// Bytes of a memtable.
    #[wasm_bindgen(js_name = memtableBytes)]
    pub memtable_bytes: u32,
}

#[wasm_bindgen]
impl Calm {
    /// All of it, in the order of the fields.
    #[wasm_bindgen(constructor)]
    pub fn new(
        nodes: u8,
        n: u8,
        r: u8,
        w: u8,
        keeps_siblings: bool,
        partitions: u16,
        memtable_bytes: u32,
    ) -> Calm {
        Calm { nodes, n, r, w, keeps_siblings, partitions, memtable_bytes }
    }
}

/// `ResolvedOptions` of the package.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Resolved {
    seed: String,
    nodes: u8,
    n: u8,
    r: u8,
    w: u8,
    resolve: Resolve,
    partitions: u16,
    memtable_bytes: u32,
    drawn: bool,
}

#[wasm_bindgen]
impl Cluster {
    /// The run that `kvorum sim --seed` makes, with another script if one is given.
    pub fn drawn(seed: u64, script: Option<String>, keeps_events: bool) -> Result<Cluster, Fault> {
        let options = Options { keep_trace: keeps_events, ..Options::drawn(seed) };
        let script = script.map_or_else(|| Ok(default_script(&options)), |text| Script::parse(&text))?;
        Ok(Cluster::new(options, script, true))
    }
    /// A cluster without faults or clients.
    pub fn calm(seed: u64, calm: Calm, script: Option<String>, keeps_events: bool) -> Result<Cluster, Fault> {
        let options = Options {
            n: calm.n,
            r: calm.r,
            w: calm.w,
            resolve: if calm.keeps_siblings { Resolve::Siblings } else { Resolve::Lww },
            partitions: calm.partitions,
            memtable_bytes: calm.memtable_bytes,
            keep_trace: keeps_events,
            ..Options::calm(seed, calm.nodes)
        };
        let script = script.map_or_else(|| Ok(calm_script(&options)), |text| Script::parse(&text))?;
        Ok(Cluster::new(options, script, false))
    }
    fn new(options: Options, script: Script, is_drawn: bool) -> Cluster {
        let world = World::new(options.clone(), script);
        Cluster { world, options, is_drawn, last_verdict: None, rest: None }
    }

    // --- time ---

    /// The virtual time.
    #[wasm_bindgen(getter)]
    pub fn now(&self) -> f64 {
        self.world.now().0 as f64
    }
    /// Things that have happened.
    #[wasm_bindgen(getter, js_name = eventCount)]
    pub fn event_count(&self) -> f64 {
        self.world.event_count() as f64
    }
    /// A promise was broken: nothing happens any more.
    #[wasm_bindgen(getter, js_name = isOver)]
    pub fn is_over(&self) -> bool {
        !self.world.violations().is_empty()
    }
    /// Does the next thing, unless it lies beyond `until`; `false` if so.
    pub fn step(&mut self, until: f64) -> bool {
        let happened = !self.is_over() && self.world.step(micros(until));
        if happened {
            self.forget_end();
        }
        happened
    }
    /// Goes on to a time, but does no more than so many things. Says whether the time is reached.
    #[wasm_bindgen(js_name = goOn)]
    pub fn go_on(&mut self, until: f64, events_max: u32) -> bool {
        for _ in 0..events_max {
            if !self.step(until) {
                self.world.run_until(micros(until));
                return true;
            }
        }
        false
    }
    /// Goes on to a count of things that have happened, but does no more than so many. Says whether it is reached, or never
    /// will be.
    #[wasm_bindgen(js_name = goOnToCount)]
    pub fn go_on_to_count(&mut self, events: f64, events_max: u32) -> bool {
        for _ in 0..events_max {
            if self.event_count() >= events || !self.step(f64::INFINITY) {
                return true;
            }
        }
        false
    }
    /// Goes on to the end of the script and its judgement, as far as so many things reach.
    #[wasm_bindgen(js_name = goOnToEnd)]
    pub fn go_on_to_end(&mut self, events_max: u32) -> bool {
        let end = self.world.script().end() + LAST_ANSWERS;
        if !self.world.is_judged() && !self.go_on(end.0 as f64, events_max) {
            return false;
        }
        if !self.world.script().leaves_faults() {
            return self.world.judge_on();
        }
        if self.last_verdict.is_some() {
            return true;
        }
        // What was broken on purpose stays so: the judgement, which wants it whole, is another's.
        let rest = self.rest.get_or_insert_with(|| Box::new(Rest::of(&self.world)));
        let is_judged = rest.go_on(events_max);
        if is_judged {
            self.last_verdict = Some(rest.verdict());
            self.rest = None;
        }
        is_judged
    }
    /// Whether all nodes that the script has started are members and nothing is under way to other owners.
    #[wasm_bindgen(getter, js_name = isFormed)]
    pub fn is_formed(&self) -> bool {
        let picture = self.world.picture();
        picture.epoch > 0 && picture.moving.is_empty() && picture.nodes.iter().all(|node| node.state == "up")
    }

    // --- what is told ---

    /// The hash over all events so far.
    pub fn digest(&self) -> String {
        format!("{:032x}", self.world.trace_hash())
    }
    /// What was done so far and is still to come.
    pub fn script(&self) -> String {
        self.world.script().to_string()
    }
    /// What it was made with.
    pub fn options(&self) -> Result<JsValue, Fault> {
        let options = &self.options;
        picture(&Resolved {
            seed: options.seed.to_string(),
            nodes: options.node_count(),
            n: options.n,
            r: options.r,
            w: options.w,
            resolve: options.resolve,
            partitions: options.partitions,
            memtable_bytes: options.memtable_bytes,
            drawn: self.is_drawn,
        })
    }
    /// What the checkers say.
    pub fn verdicts(&self) -> Result<JsValue, Fault> {
        match &self.last_verdict {
            Some(verdict) => picture(verdict),
            None => picture(&self.world.verdict()),
        }
    }
    /// The whole cluster.
    #[wasm_bindgen(js_name = clusterPicture)]
    pub fn cluster_picture(&self) -> Result<JsValue, Fault> {
        picture(&self.world.picture())
    }
    /// One node, and the way of a key through it.
    #[wasm_bindgen(js_name = nodePicture)]
    pub fn node_picture(&self, node: u8, key: Option<Vec<u8>>) -> Result<JsValue, Fault> {
        match self.world.node_picture(NodeIndex(node), key.as_deref()) {
            Some(found) => picture(&found),
            None => Err(Fault::invalid(format!("there is no node n{node}"))),
        }
    }
    /// One key.
    #[wasm_bindgen(js_name = keyPicture)]
    pub fn key_picture(&self, key: &[u8]) -> Result<JsValue, Fault> {
        match self.world.key_picture(key) {
            Some(found) => picture(&found),
            None => {
                let message = "no node is a member yet, so that no key has a place: let the cluster run on";
                Err(Fault { retryable: true, ..Fault::new("NOT_DONE", message) })
            }
        }
    }
    /// Messages under way, packed.
    pub fn flights(&self) -> Float64Array {
        let flights = self.world.flights();
        let mut numbers = Vec::with_capacity(flights.len() * FLIGHT_FIELDS);
        for flight in &flights {
            numbers.extend([
                flight.id as f64,
                f64::from(flight.from.0),
                f64::from(flight.to.0),
                f64::from(flight.kind),
                flight.sent.0 as f64,
                flight.arrives.0 as f64,
                flight.op as f64,
            ]);
        }
        Float64Array::from(&numbers[..])
    }
    /// Events since the last call, packed.
    #[wasm_bindgen(js_name = takeEvents)]
    pub fn take_events(&mut self) -> Vec<u32> {
        self.world.take_trace()
    }

    // --- what is done to it ---

    /// A process dies, or its machine loses power.
    pub fn crash(&mut self, node: u8, power: bool) -> Result<(), Fault> {
        let node = NodeIndex(node);
        self.act(if power { Action::Power(node) } else { Action::Kill(node) })
    }
    /// A process begins again.
    pub fn restart(&mut self, node: u8) -> Result<(), Fault> {
        self.act(Action::Start(NodeIndex(node)))
    }
    /// Nothing goes between two sides any more.
    pub fn cut(&mut self, one: &[u8], other: &[u8]) -> Result<(), Fault> {
        let links: Vec<_> = between(one, other).collect();
        // All of it or nothing: half a cut is another one.
        if self.world.script_room() < links.len() {
            return Err(kvorum_core::sim::SubmitError(
                "the script has no room for so many links: start again",
            )
            .into());
        }
        links.into_iter().try_for_each(|(from, to)| self.act(Action::Cut(from, to)))
    }
    /// Ends all cuts between two sides; those that were asked for and have not begun as well.
    pub fn heal(&mut self, one: &[u8], other: &[u8]) -> Result<(), Fault> {
        let wanted: BTreeSet<_> = between(one, other).collect();
        let mut cuts = self.cuts().into_iter().filter(|link| wanted.contains(link));
        cuts.try_for_each(|(from, to)| self.act(Action::Join(from, to)))
    }
    /// Messages to and from a node take longer.
    pub fn slow(&mut self, node: u8, ms: u32) -> Result<(), Fault> {
        self.act(Action::Slow(NodeIndex(node), ms))
    }
    /// Some messages to and from a node are lost.
    pub fn loss(&mut self, node: u8, permille: u16) -> Result<(), Fault> {
        self.act(Action::Lose(NodeIndex(node), permille))
    }
    /// Asks a node to write. Returns the number of the request.
    pub fn put(
        &mut self,
        node: u8,
        key: &[u8],
        value: &[u8],
        context: Option<String>,
        w: Option<u8>,
        ttl_ms: Option<f64>,
    ) -> Result<u32, Fault> {
        let seen = self.seen(context)?;
        let (key, value) = (Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
        self.ask(node, GuestAsk::Put { key, value, seen, w, ttl_ms: ttl_ms.map(|ms| ms as u64) })
    }
    /// Asks a node to delete.
    pub fn del(
        &mut self,
        node: u8,
        key: &[u8],
        context: Option<String>,
        w: Option<u8>,
    ) -> Result<u32, Fault> {
        let seen = self.seen(context)?;
        self.ask(node, GuestAsk::Delete { key: Bytes::copy_from_slice(key), seen, w })
    }
    /// Asks a node to read.
    pub fn get(&mut self, node: u8, key: &[u8], r: Option<u8>) -> Result<u32, Fault> {
        self.ask(node, GuestAsk::Get { key: Bytes::copy_from_slice(key), r })
    }
    /// Whether a request is over.
    #[wasm_bindgen(js_name = isAnswered)]
    pub fn is_answered(&self, request: u32) -> bool {
        self.world.guest(GuestNumber(request)).is_some_and(|guest| guest.answer.is_some())
    }
    /// What became of a request that is over.
    pub fn answer(&self, request: u32) -> Result<JsValue, Fault> {
        let number = GuestNumber(request);
        let guest = self.world.guest(number).filter(|guest| guest.answer.is_some());
        let guest = guest.ok_or_else(|| Fault::invalid(format!("request {request} is not over")))?;
        answer::of(&self.world, &self.options, number, guest)
    }
}

impl Cluster {
    /// What was found or is being found out about its end holds no longer: it goes on.
    fn forget_end(&mut self) {
        (self.rest, self.last_verdict) = (None, None);
    }
    fn act(&mut self, action: Action) -> Result<(), Fault> {
        self.forget_end();
        self.world.submit(action)?;
        Ok(())
    }
    fn ask(&mut self, node: u8, ask: GuestAsk) -> Result<u32, Fault> {
        self.forget_end();
        match self.world.submit(Action::Ask(NodeIndex(node), ask))? {
            Some(number) => Ok(number.0),
            None => unreachable!("a request is given a number"),
        }
    }
    /// The read whose context goes along.
    fn seen(&self, context: Option<String>) -> Result<Option<GuestNumber>, Fault> {
        let Some(context) = context else { return Ok(None) };
        match answer::read_of(&self.world, &context) {
            Some(number) => Ok(Some(number)),
            None => Err(Fault::invalid("the context is none that a get of this cluster has returned")),
        }
    }
    fn cuts(&self) -> BTreeSet<(NodeIndex, NodeIndex)> {
        let now = self.world.picture().cuts.into_iter();
        let mut cuts: BTreeSet<_> =
            now.map(|(from, to)| (NodeIndex(from as u8), NodeIndex(to as u8))).collect();
        let to_come = self.world.script().lines.iter().filter(|line| line.at > self.world.now());
        cuts.extend(to_come.filter_map(|line| match line.action {
            Action::Cut(from, to) => Some((from, to)),
            _ => None,
        }));
        cuts
    }
}

/// All links between two sides, both ways.
fn between(one: &[u8], other: &[u8]) -> impl Iterator<Item = (NodeIndex, NodeIndex)> {
    let pairs: Vec<_> = one.iter().flat_map(|from| other.iter().map(move |to| (*from, *to))).collect();
    let both = pairs.into_iter().flat_map(|(from, to)| [(from, to), (to, from)]);
    both.filter(|(from, to)| from != to).map(|(from, to)| (NodeIndex(from), NodeIndex(to)))
}

/// Virtual times cross as numbers: they are exact for 285 years.
fn micros(time: f64) -> Micros {
    Micros(time as u64)
}

/// A plain object.
fn picture(value: &impl Serialize) -> Result<JsValue, Fault> {
    let serializer = Serializer::new().serialize_missing_as_null(true);
    value.serialize(&serializer).map_err(|error| Fault::new("NOT_DONE", format!("no picture of it: {error}")))
}
