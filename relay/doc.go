// Package relay shares one connection to the vendor among many programs. The vendor allows one
// connection per market and key, and a second evicts the first; a [Server] holds one
// [tickstorm.Client] per market and serves any number of local clients in the vendor's own
// protocol, so that a client in any language changes its URL and nothing else:
//
//	listener, err := relay.Listen("tcp", "127.0.0.1:8765")
//	server, err := relay.New(relay.Config{Upstreams: []tickstorm.Config{{Key: key, Market: tickstorm.Stocks}}})
//	err = server.Serve(ctx, listener)
//
// Clients connect to ws://127.0.0.1:8765/stocks. They send any key they like; the upstream's
// is never sent down. What they subscribe to is kept upstream as one union, by difference, and
// each gets its own topics in the bytes that the vendor sent. A tool that can send one message
// only, or none, subscribes in the URL: ws://127.0.0.1:8765/stocks?subscribe=T.AAPL,Q.*
//
// Acknowledgements do not wait behind events, so that a client hears from the relay however much is
// queued for it. Nothing of a topic comes before it is acknowledged; what waited when it was ended
// still comes, behind the acknowledgement of that.
//
// What the vendor has no words for is told by statuses that its clients pass over:
// upstream_disconnected and upstream_connected, gap ("from=1 to=2 cause=text", in nanoseconds since
// 1970), dropped ("1234 events", of a client that reads too slowly), pending ("pending:
// T.AAPL", a topic that the upstream has not answered) and withdrawn ("withdrawn: T.AAPL", a topic
// that the client may not have any more).
//
// An address that other machines can reach needs [Keys], which say who may connect and what for,
// and TLS:
//
//	keys, err := relay.LoadKeys("keys.json")
//	server, err := relay.New(relay.Config{..., Keys: keys, CertFile: "cert.pem", KeyFile: "key.pem"})
//	listener, err := server.Listen(ctx, "tls", ":8765")
//	err = server.Serve(ctx, listener)
//
// Several relays with one key of the vendor take turns by Config.Lock: one is active, the others
// are standbys. Where the upstream is a relay itself, its key is a token of that relay's keys, and
// what that tells of the upstream, of gaps and drops and of topics that it withdraws is passed on. What that
// sends of the past is not: those who have the topics are told a gap in its place.
//
// A client that joins late may ask in its URL for what was before it came, where the [Config] keeps
// it, and for quotes at a pace of its own:
//
//	?snapshot=1      the last event of each channel and symbol of its topics
//	?since=-5m       all events since then, or since nanoseconds since 1970
//	?conflate=250ms  quotes, aggregates, values and books at most as often, each time the latest
//	                 of each symbol, the last one always; trades and the rest as they come
//
// A [tickstorm.Client] asks by the Feed of its Config, with each connection.
//
// What was before comes behind the acknowledgement of its topics in messages of its own, so that
// it is never taken for live. They begin with the status snapshot_begin ("topics=T.AAPL") or
// history_begin ("from=1 topics=T.AAPL"), and end with snapshot_end ("events=1 next=live") or
// history_end ("to=2 events=1 next=live"); with next=snapshot or next=history another one of the
// same topics follows. Events of other topics may come between them, but not within. Behind
// next=live the topics are live, and go on from there: nothing is missing, and nothing comes
// twice. In a snapshot of several messages a symbol that has had an event in the meantime comes
// again; the last one counts. A history is as long as it is, at the pace at which the client reads;
// its first message has nothing yet where a recording is looked through. What is missing of it is
// told in its place by gap. Where there are [Keys], the [Policy] says who may ask, and who gets the
// last events without asking.
package relay
