// Package nats gives NATS what a [sink.Runner] reads, and its consumers what NATS has.
//
// [Engine] publishes to JetStream, [Core] without it. A [Consumer] tells the same
// [tickstorm.Handler] that a client would call what a market's streams have: several consumers share
// the partitions, each symbol in its order, each event once. Package embedded has a server, and a
// cluster of three, for where none is; who has one need not link it.
//
// # What is guaranteed
//
// From a recording into JetStream: each element that was recorded is stored, and as long as a stream
// has its last message, once, whatever was killed. What a stream's limits remove, a consumer that
// had not read it is told as a gap.
//
// From JetStream into a handler: each once, in the order of its symbol, where consumers are stopped
// or lose their connection. Of a consumer that was killed another repeats what came since it saved
// its watermark last, by default 200 ms, unless the handler keeps the watermarks with its own results
// ([ConsumerConfig].Watermarks). A consumer does not rely on redelivery, whose order is no order: it
// reads on behind its watermark.
package nats
