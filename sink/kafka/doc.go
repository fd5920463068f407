// Package kafka gives Kafka what a [sink.Runner] reads, and its consumers what Kafka has.
//
// [Engine] publishes; a [Consumer] tells the same [tickstorm.Handler] that a client would call what a
// market's topics have: several consumers share the partitions, each symbol in its order, each event
// once.
//
// # What is guaranteed
//
// From a recording into Kafka: each element that was recorded is stored, and as long as a partition
// has the last record of its segment, once, whatever was killed; but what a process that was killed had sent a moment
// before may come to be stored beside what its successor sends, which consumers leave out. What
// retention removes, a consumer that had not read it is told as a gap. What a cluster loses that it
// has acknowledged, such as by an unclean election, is lost; min.insync.replicas is against that.
//
// From Kafka into a handler: each once, in the order of its channel and symbol, where consumers are
// stopped or end with an error, partitions move, topics are made, and connections are lost, even all at
// once. Before partitions move a consumer saves how far it is, and it handles nothing more until it has
// joined again. Whoever has a partition next repeats what came since the last save, by default 500 ms,
// only where
//
//   - the process was killed, or Run's context ended;
//   - brokers heard nothing of the consumer for a lease;
//   - partitions had to move, and one call of a handler took longer than a lease and than a minute;
//   - partitions had to move, or the consumer ended with an error, and the cluster would not save how far it
//     was: for a lease, or because it forbids that.
//
// A handler that keeps the watermarks with its own results ([ConsumerConfig].Watermarks) has nothing twice
// even then. Else the watermarks are in the metadata of the group's offsets, of as many segments as have
// room there (some 80), so that both move at once, and only who has the partition moves them. Who removes a
// topic removes them with it.
//
// Topics are by channel, so between a symbol's trades and its quotes there is no order; nor is there
// between events and notices, of which each partition of their topic has all.
package kafka
