// Package sim is the vendor's streaming service on your own machine: a real server on
// loopback, or in memory, that speaks the protocol of every market, makes up a market
// to stream, and misbehaves by script. It is what tickstorm's own tests run against,
// and is meant for the tests of programs that use tickstorm as well.
//
//	server, err := sim.Start(sim.Config{})
//	...
//	defer server.Close()
//	conn, err := tickstorm.Dial(ctx, server.ClientConfig(tickstorm.Stocks), handler)
//
// [Start] listens on a random port of 127.0.0.1, with TLS if [Config].TLS says so;
// [StartPipe] serves connections in memory, which work inside a testing/synctest bubble.
// What goes wrong is a list of [Fault]; a test can also take a connection into its own
// hands with the methods of [Conn], and wait for what the client does with
// [Server.Await].
//
// The market comes from a [Generator]: seeded, so that two runs with the same
// subscriptions see the same events, but for the times in them. [Corpus] makes the sets
// of messages that the benchmarks measure with.
package sim
