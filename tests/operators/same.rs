//! What an operator asks by the dialect `admin` is answered as by HTTP: the same facts, the same
//! refusals.

use std::sync::Arc;

use hyper::Method;
use serde_json::{Value, json};
use shardwire::announcement;
use shardwire::auth::IdentityParts;
use shardwire::close::Refusal;
use shardwire::connection::{Address, ConnKey, ConnectionId};
use shardwire::http::say::{Reach, To};
use shardwire::http::{Parameters, Route};
use shardwire::report::{Around, Plan, Step, Wanted};
use shardwire::topic::TopicBounds;

use super::world::{Kernel, NODE, TOPICS, World};

/// Turns that an answer takes at most, and more.
const ROUNDS: usize = 20;

/// The two ways to ask, over the same shards: what is answered, or the code and the reason.
impl World {
    /// Operators, and others on both shards: two users, of a tenant and of none.
    fn with_people() -> (Self, ConnKey, ConnectionId) {
        let mut world = Self::new();
        let ann = world.open(&["admin"]);
        let mut some = ann;
        for (shard, tenant, user, topics) in [
            (0, Some("acme"), "1", r#""a.b","a.*""#),
            (1, Some("acme"), "1", r#""a.b","c""#),
            (1, None, "1", r#""a.b""#),
            (0, None, "2", r#""d.e.f""#),
        ] {
            let who = IdentityParts { user_id: user, tenant, ..Default::default() };
            some = world.open_on(shard, TOPICS, &who);
            let text = format!(r#"{{"type":"subscribe","topics":[{topics}]}}"#);
            world.say_on(shard, some, &text);
        }
        world.turns(ROUNDS);
        // Numbers of the other shard are the same.
        world.kernel = Kernel::default();
        let id = ConnectionId { node: NODE, at: Address { shard: 0, conn: some } };
        (world, ann, id)
    }

    fn ask_as_operator(&mut self, ann: ConnKey, kind: &str, data: &Value) -> Result<Value, Value> {
        self.say(ann, &json!({"type": kind, "data": data}).to_string());
        self.turns(ROUNDS);
        let heard = self.kernel.heard(ann);
        let mut answers = heard.into_iter().filter(|it| it["type"] != "message");
        let mut answer = answers.next().expect("an answer");
        assert!(answers.next().is_none());
        let data = answer["data"].take();
        if answer["type"] == "error" {
            return Err(json!([data["code"], data["error"]]));
        }
        assert_eq!(answer["type"], kind);
        Ok(data)
    }

    fn ask_by_http(&mut self, request: &str, body: &Value) -> Result<Value, Value> {
        let (method, uri) = request.split_once(' ').expect("a method and an address");
        let method: Method = method.parse().expect("a method");
        let (path, query) = uri.split_once('?').map_or((uri, None), |it| (it.0, Some(it.1)));
        let (parameters, body) = (Parameters::of(query), body.to_string());
        let made = match Route::of(&method, path) {
            Route::Report(about) => about.wanted(&parameters).and_then(|it| self.report(it)),
            Route::Disconnect(whom) => {
                whom.wanted(&parameters, body.as_bytes()).and_then(|it| self.report(it))
            }
            Route::Say(to) => self.announce(to, &parameters, body.as_bytes()),
            other => panic!("{request} is {other:?}"),
        };
        let made = made.map_err(|refusal| json!([refusal.code(), refusal.to_string()]))?;
        Ok(serde_json::from_str(&made).expect("JSON"))
    }

    fn report(&mut self, wanted: Wanted) -> Result<String, Refusal> {
        let around = Around {
            node: NODE,
            shards: 2,
            metrics: Arc::clone(&self.metrics),
            now: self.now,
            draining: false,
            topic_bounds: TopicBounds::default(),
        };
        let (mut plan, mut step) = Plan::begin(wanted, &around);
        loop {
            match step {
                Step::Done(made) => return made,
                Step::Ask { query, of } => {
                    self.shards[1].inquire(self.now, &query, of)?;
                    self.turns(ROUNDS);
                    let told = self.shards[1].told().expect("all have answered");
                    step = plan.told(told.parts, &around);
                }
            }
        }
    }

    fn announce(&mut self, to: To, with: &Parameters, body: &[u8]) -> Result<String, Refusal> {
        let said = to.said(with, body, TopicBounds::default())?;
        let Reach::These(audience) = said.reach else { panic!("it is no audience") };
        let topic = announcement::topic_of(&audience);
        let publication = announcement::publication(&topic, &said.message, self.now.wall);
        self.shards[1].announce(self.now, &publication, &Arc::new(audience))?;
        self.turns(ROUNDS);
        let settled = self.shards[1].settled().expect("all have answered");
        Ok(format!("{{\"delivered\":{}}}", settled.delivered))
    }
}

/// Each asked in a world of its own, for some change it. `@` is the id of a connection.
#[test]
fn http_answers_the_same() {
    let far = "f".repeat(32);
    let elsewhere = format!("{:014x}09{}", NODE, "0".repeat(16));
    let long = "a".repeat(257);
    for (kind, data, request, body) in [
        ("connections", json!({}), "GET /api/connections", ""),
        ("connections", json!({"limit": 1}), "GET /api/connections?limit=1", ""),
        (
            "connections",
            json!({"limit": 2, "cursor": "0000000001"}),
            "GET /api/connections?limit=2&cursor=0000000001",
            "",
        ),
        (
            "connections",
            json!({"cursor": "0100000001"}),
            "GET /api/connections?cursor=0100000001",
            "",
        ),
        (
            "connections",
            json!({"cursor": "0200000000"}),
            "GET /api/connections?cursor=0200000000",
            "",
        ),
        ("connections", json!({"cursor": "x"}), "GET /api/connections?cursor=x", ""),
        ("connections", json!({"limit": 0}), "GET /api/connections?limit=0", ""),
        ("connections", json!({"userId": "1"}), "GET /api/connections?userId=1", ""),
        ("connections", json!({"userId": ""}), "GET /api/connections?userId=", ""),
        ("connections", json!({"tenantId": "acme"}), "GET /api/connections?tenantId=acme", ""),
        (
            "connections",
            json!({"userId": "1", "tenantId": "acme"}),
            "GET /api/connections?userId=1&tenantId=acme",
            "",
        ),
        ("connection", json!({"connectionId": "@"}), "GET /api/connections/@", ""),
        ("connection", json!({"connectionId": "none"}), "GET /api/connections/none", ""),
        ("connection", json!({"connectionId": far}), &format!("GET /api/connections/{far}"), ""),
        (
            "connection",
            json!({"connectionId": elsewhere}),
            &format!("GET /api/connections/{elsewhere}"),
            "",
        ),
        ("topics", json!({}), "GET /api/topics", ""),
        ("topics", json!({"prefix": "a."}), "GET /api/topics?prefix=a.", ""),
        ("topics", json!({"limit": 1}), "GET /api/topics?limit=1", ""),
        ("topics", json!({"cursor": "0100000000"}), "GET /api/topics?cursor=0100000000", ""),
        ("topics", json!({"cursor": "3f00000000"}), "GET /api/topics?cursor=3f00000000", ""),
        ("topic", json!({"topic": "a.b"}), "GET /api/topics/a.b", ""),
        ("topic", json!({"topic": "nobody"}), "GET /api/topics/nobody", ""),
        ("topic", json!({"topic": "a.*"}), "GET /api/topics/a.*", ""),
        ("topic", json!({"topic": "a..b"}), "GET /api/topics/a..b", ""),
        ("topic", json!({"topic": long}), &format!("GET /api/topics/{long}"), ""),
        ("disconnect", json!({"userId": "1"}), "POST /api/users/1/disconnect", "{}"),
        (
            "disconnect",
            json!({"userId": "1", "tenantId": "acme", "code": 4001, "reason": "bye"}),
            "POST /api/users/1/disconnect?tenant=acme",
            r#"{"code": 4001, "reason": "bye"}"#,
        ),
        (
            "disconnect",
            json!({"userId": "1", "code": 1002}),
            "POST /api/users/1/disconnect",
            r#"{"code": 1002}"#,
        ),
        ("disconnect", json!({"connectionId": "@"}), "POST /api/connections/@/disconnect", "{}"),
        (
            "disconnect",
            json!({"connectionId": far}),
            &format!("POST /api/connections/{far}/disconnect"),
            "{}",
        ),
        ("broadcast", json!({"message": 1}), "POST /api/broadcast", r#"{"message": 1}"#),
        (
            "broadcast",
            json!({"message": null, "tenantId": "acme"}),
            "POST /api/tenants/acme/broadcast",
            r#"{"message": null}"#,
        ),
        ("broadcast", json!({}), "POST /api/broadcast", "{}"),
    ] {
        let (mut world, ann, id) = World::with_people();
        let named = |text: &str| text.replace('@', &id.to_string());
        let data: Value = serde_json::from_str(&named(&data.to_string())).unwrap();
        let by_operator = world.ask_as_operator(ann, kind, &data);
        let (mut world, _, same) = World::with_people();
        assert_eq!(same, id, "the worlds are alike");
        let body = serde_json::from_str(body).unwrap_or_default();
        let by_http = world.ask_by_http(&named(request), &body);
        assert_eq!(by_operator, by_http, "{kind} {data} and {request}");
    }
}

#[test]
fn http_gives_the_same_figures() {
    let figures = |mut made: Value| {
        // Who asks by HTTP is no connection, and sends no message.
        for counters in ["totals", "shards"] {
            let some = made[counters].take();
            let first = some.get(0).unwrap_or(&some).as_object().expect("counters").clone();
            made[counters] = first.keys().cloned().collect();
        }
        made
    };
    let (mut world, ann, _) = World::with_people();
    let by_operator = world.ask_as_operator(ann, "stats", &json!({})).unwrap();
    let by_http = world.ask_by_http("GET /api/stats", &Value::Null).unwrap();
    assert_eq!(by_http["byTenant"], json!({"acme": 2}));
    assert_eq!(by_http["byChannel"], json!({"a.b": 3, "c": 1, "d.e.f": 1}));
    assert_eq!(figures(by_operator), figures(by_http));
}
