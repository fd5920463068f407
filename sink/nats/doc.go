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
// What a server has acknowledged the sink does not give again. A server that stands alone writes to
// its disk later (sync_interval, 2 min): a power cut takes what it had acknowledged since. Replicas
// on machines that do not lose power together keep it.
//
// From JetStream into a handler: each once, in the order of its symbol, where consumers are stopped
// or lose their connection for less than a Lease. Of a consumer that was killed, or is away for
// longer, another repeats what came since it saved its watermark last, by default 200 ms, unless the
// handler keeps the watermarks with its own results ([ConsumerConfig].Watermarks). While a watermark
// cannot be saved nothing more is handled. A consumer does not rely on redelivery, whose order is no
// order: it reads on behind its watermark. Where a stream was made anew, or has lost its last
// messages, that is a gap, and what the stream has is read from its beginning: ids tell what is new.
package nats
