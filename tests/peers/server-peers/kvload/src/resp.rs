//! Single-threaded epoll RESP client: many connections, pipelining, optional WAIT, optional cluster routing.
use crate::*;
use mio::{net::TcpStream, Events, Interest, Poll, Token};
use std::io::{Read, Write};
use std::time::{Duration, Instant};

struct Conn {
    s: TcpStream,
    node: usize,
    out: Vec<u8>,
    off: usize,
    inb: Vec<u8>,
    pos: usize,
    pending: usize,
    t0: Instant,
    due: Instant,
}

fn crc16(d: &[u8]) -> u16 {
    let mut c = 0u16;
    for &b in d {
        c ^= (b as u16) << 8;
        for _ in 0..8 {
            c = if c & 0x8000 != 0 { (c << 1) ^ 0x1021 } else { c << 1 };
        }
    }
    c
}

/// CLUSTER SLOTS over a blocking connection: slot -> index into the list of masters.
fn slots(addr: &str) -> (Vec<String>, Vec<u16>) {
    let mut s = std::net::TcpStream::connect(addr).unwrap();
    s.write_all(b"*2\r\n$7\r\nCLUSTER\r\n$5\r\nSLOTS\r\n").unwrap();
    s.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let (mut b, mut t) = (Vec::new(), [0u8; 65536]);
    while let Ok(n) = s.read(&mut t) {
        if n == 0 {
            break;
        }
        b.extend_from_slice(&t[..n]);
    }
    // Flatten to tokens: arrays "*n", ints ":n", bulks; each range is *k :start :end then *m $ip :port $id *meta ...
    let txt = String::from_utf8_lossy(&b).into_owned();
    let mut it = txt.split("\r\n");
    let n: usize = it.next().unwrap()[1..].parse().expect("CLUSTER SLOTS answer");
    let (mut nodes, mut map) = (Vec::<String>::new(), vec![0u16; 16384]);
    fn skip<'a>(it: &mut dyn Iterator<Item = &'a str>) {
        let h = it.next().unwrap();
        match &h[..1] {
            "*" => {
                let k: i64 = h[1..].parse().unwrap();
                for _ in 0..k {
                    skip(it)
                }
            }
            "$" => {
                if &h[1..] != "-1" {
                    it.next();
                }
            }
            _ => {}
        }
    }
    for _ in 0..n {
        let k: usize = it.next().unwrap()[1..].parse().unwrap();
        let a: usize = it.next().unwrap()[1..].parse().unwrap();
        let z: usize = it.next().unwrap()[1..].parse().unwrap();
        let m: usize = it.next().unwrap()[1..].parse().unwrap();
        it.next();
        let ip = it.next().unwrap();
        let port = &it.next().unwrap()[1..];
        for _ in 2..m {
            skip(&mut it)
        }
        for _ in 3..k {
            skip(&mut it)
        }
        let ad = format!("{ip}:{port}");
        let i = nodes.iter().position(|x| *x == ad).unwrap_or_else(|| {
            nodes.push(ad);
            nodes.len() - 1
        });
        for s in a..=z {
            map[s] = i as u16
        }
    }
    (nodes, map)
}

/// One reply at `b[p..]`: (end, is_error, is_null), or None when it is not whole yet.
fn reply(b: &[u8], p: usize) -> Option<(usize, bool, bool)> {
    let nl = b[p..].iter().position(|&c| c == b'\n')? + p;
    match b[p] {
        b'-' => Some((nl + 1, true, false)),
        b'$' => {
            let n: i64 = std::str::from_utf8(&b[p + 1..nl - 1]).ok()?.parse().ok()?;
            if n < 0 {
                return Some((nl + 1, false, true));
            }
            let e = nl + 1 + n as usize + 2;
            if b.len() < e {
                None
            } else {
                Some((e, false, false))
            }
        }
        b'_' => Some((nl + 1, false, true)),
        _ => Some((nl + 1, false, false)),
    }
}

pub fn run(o: &Opt) -> Report {
    let (nodes, map) = if o.cluster { slots(&o.addrs[0]) } else { (o.addrs.clone(), vec![]) };
    let mut rng = Rng::new(std::process::id() as u64);
    let mut kg = KeyGen::new(o.keys, o.dist);
    // values: a ring of distinct random bodies
    let vals: Vec<Vec<u8>> = (0..64).map(|_| value(o.value, &mut rng)).collect();
    let mut poll = Poll::new().unwrap();
    let start = Instant::now();
    let mut cs: Vec<Conn> = (0..o.conns)
        .map(|i| {
            let node = i % nodes.len();
            let st = std::net::TcpStream::connect(&nodes[node]).unwrap_or_else(|e| {
                eprintln!("connect {}: {e}", nodes[node]);
                std::process::exit(1)
            });
            st.set_nodelay(true).unwrap();
            st.set_nonblocking(true).unwrap();
            let mut s = TcpStream::from_std(st);
            poll.registry().register(&mut s, Token(i), Interest::READABLE | Interest::WRITABLE).unwrap();
            Conn { s, node, out: vec![], off: 0, inb: vec![], pos: 0, pending: 0, t0: start, due: start }
        })
        .collect();
    let mut hist = hdrhistogram::Histogram::<u64>::new_with_bounds(1, 120_000_000, 3).unwrap();
    let mut errs: HashMap<String, u64> = HashMap::new();
    let (mut ops, mut misses, mut issued) = (0u64, 0u64, 0u64);
    let mut events = Events::with_capacity(1024);
    let begin = Instant::now();
    let warm_end = begin + Duration::from_secs_f64(o.warm);
    let end = warm_end + Duration::from_secs_f64(o.secs);
    let gap = if o.rate > 0.0 {
        Some(Duration::from_secs_f64(o.conns as f64 * o.pipeline as f64 / o.rate))
    } else {
        None
    };
    for (i, c) in cs.iter_mut().enumerate() {
        c.due = begin + gap.map_or(Duration::ZERO, |g| g.mul_f64(i as f64 / o.conns as f64));
    }
    let mut first = begin;
    let mut started = o.warm == 0.0;
    let mut tmp = vec![0u8; 1 << 18];
    let mut last;
    let per = if o.wait > 0 { 2 } else { 1 };
    let mut dead = 0;
    // In a sequence that must miss nothing: keys that wait for a connection to their node.
    let mut kept: Vec<Vec<[u8; 16]>> = vec![vec![]; nodes.len()];
    loop {
        let now = Instant::now();
        last = now;
        if !started && now >= warm_end {
            started = true;
            first = now;
            hist.reset();
            ops = 0;
            misses = 0;
            errs.clear();
        }
        if o.ops == 0 && now >= end {
            break;
        }
        if o.ops > 0 && ops >= o.ops {
            break;
        }
        if dead == cs.len() {
            break;
        }
        let mut next_due: Option<Instant> = None;
        for c in cs.iter_mut() {
            if c.pending > 0 || c.pos == usize::MAX {
                continue;
            }
            if o.ops > 0 && issued >= o.ops {
                continue;
            }
            if gap.is_some() && c.due > now {
                next_due = Some(next_due.map_or(c.due, |d: Instant| d.min(c.due)));
                continue;
            }
            c.out.clear();
            c.off = 0;
            for _ in 0..o.pipeline {
                let k = loop {
                    if let Some(k) = kept[c.node].pop() {
                        break k;
                    }
                    let k = key16(kg.next(&mut rng));
                    if !o.cluster {
                        break k;
                    }
                    let owner = map[(crc16(&k) & 16383) as usize] as usize;
                    if owner == c.node {
                        break k;
                    }
                    if o.dist == Dist::Seq {
                        kept[owner].push(k)
                    }
                };
                let set = match o.mix {
                    Mix::Set => true,
                    Mix::Get | Mix::SGet => false,
                    Mix::A => rng.u64() & 1 == 0,
                    Mix::B => rng.u64() % 20 == 0,
                };
                if set {
                    let v = &vals[(issued & 63) as usize];
                    let _ = write!(c.out, "*3\r\n$3\r\nSET\r\n$16\r\n");
                    c.out.extend_from_slice(&k);
                    let _ = write!(c.out, "\r\n${}\r\n", v.len());
                    c.out.extend_from_slice(v);
                    c.out.extend_from_slice(b"\r\n");
                } else {
                    let _ = write!(c.out, "*2\r\n$3\r\nGET\r\n$16\r\n");
                    c.out.extend_from_slice(&k);
                    c.out.extend_from_slice(b"\r\n");
                }
                issued += 1;
                if o.wait > 0 {
                    let w = o.wait.to_string();
                    let _ = write!(c.out, "*3\r\n$4\r\nWAIT\r\n${}\r\n{}\r\n$1\r\n0\r\n", w.len(), w);
                }
            }
            c.pending = o.pipeline * per;
            c.t0 = if let Some(g) = gap {
                let d = c.due;
                c.due += g;
                d
            } else {
                Instant::now()
            };
            flush(c);
        }
        let to = next_due
            .map(|d| d.saturating_duration_since(Instant::now()))
            .unwrap_or(Duration::from_millis(100));
        let _ = poll.poll(&mut events, Some(to));
        for e in events.iter() {
            let c = &mut cs[e.token().0];
            if c.pos == usize::MAX {
                continue;
            }
            if e.is_writable() {
                flush(c);
            }
            loop {
                match c.s.read(&mut tmp) {
                    Ok(0) => {
                        kill(c, &mut dead, &mut errs);
                        break;
                    }
                    Ok(n) => {
                        c.inb.extend_from_slice(&tmp[..n]);
                        if n < tmp.len() {
                            break;
                        }
                    }
                    Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => break,
                    Err(_) => {
                        kill(c, &mut dead, &mut errs);
                        break;
                    }
                }
            }
            if c.pos == usize::MAX {
                continue;
            }
            let t = Instant::now();
            while c.pending > 0 && c.pos < c.inb.len() {
                let Some((e, er, nul)) = reply(&c.inb, c.pos) else { break };
                if er {
                    let s = String::from_utf8_lossy(&c.inb[c.pos + 1..e]).into_owned();
                    *errs.entry(s.split_whitespace().next().unwrap_or("").into()).or_default() += 1;
                }
                if nul {
                    misses += 1
                }
                c.pos = e;
                c.pending -= 1;
                if per == 1 || c.pending % 2 == 0 {
                    ops += 1;
                    let _ = hist.record((t - c.t0).as_micros().max(1) as u64);
                }
            }
            if c.pos == c.inb.len() {
                c.inb.clear();
                c.pos = 0
            }
        }
    }
    Report { hist, ops, errs, secs: (last - first).as_secs_f64(), misses }
}

fn kill(c: &mut Conn, dead: &mut usize, errs: &mut HashMap<String, u64>) {
    *errs.entry("CLOSED".into()).or_default() += 1;
    c.pos = usize::MAX;
    *dead += 1;
}

/// Writes what it can; mio is edge-triggered and both interests are registered, so the rest goes out on the
/// next writable event.
fn flush(c: &mut Conn) {
    while c.off < c.out.len() {
        match c.s.write(&c.out[c.off..]) {
            Ok(n) => c.off += n,
            Err(_) => return,
        }
    }
}
