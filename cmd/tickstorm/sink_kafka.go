package main

import (
	"context"
	"time"

	"github.com/tickstorm/tickstorm/sink"
	sinkkafka "github.com/tickstorm/tickstorm/sink/kafka"
)

type sinkKafkaCmd struct {
	sinkFlags
	kafkaFlags
	Existing       bool              `group:"kafka" help:"Make no topics: one that is not there ends the sink."`
	Replicas       int               `placeholder:"N" group:"kafka" help:"Brokers that each topic is on, if it is made; default what they say."`
	Retention      time.Duration     `default:"168h" placeholder:"DURATION" group:"kafka" help:"How long topics that are made keep a record, by the event's own time."`
	RetentionBytes int64             `placeholder:"BYTES" group:"kafka" help:"How much a partition keeps, if it is made; 0 is no bound."`
	Set            map[string]string `placeholder:"KEY=VALUE;..." group:"kafka" help:"Other settings of topics that are made, such as min.insync.replicas=2."`
}

// Help implements [kong.HelpProvider].
func (*sinkKafkaCmd) Help() string {
	return "Topics are md.MARKET.CHANNEL, with the symbol as the key and the id as the header Ts-Id; gaps and drops are md.MARKET.notice, in each partition. Batches are compressed with zstd and acknowledged by all replicas. At the end what has come is written first.\n\n" + examples(
		"a recording to its end", "tickstorm sink kafka --brokers 127.0.0.1:9092 --from recordings --follow 0",
		"what is being recorded, whatever happens", "tickstorm sink kafka --brokers 10.0.0.1:9092,10.0.0.2:9092 --from recordings --cursor kafka.cursor --dead dead.jsonl --replicas 3 --set min.insync.replicas=2",
		"where passwords are asked for", "tickstorm sink kafka --brokers 10.0.0.1:9093 --tls --sasl SCRAM-SHA-512 --user ticks --password-file kafka.password 'T.*'",
		"look at it", "tickstorm consume kafka --brokers 127.0.0.1:9092 T.AAPL",
	)
}

// Run runs the verb.
func (c *sinkKafkaCmd) Run(ctx context.Context, a *app) error {
	err := c.kafkaFlags.check()
	if err == nil && (c.Replicas < 0 || c.Retention <= 0 || c.RetentionBytes < 0) {
		err = usagef("--replicas and --retention-bytes are not negative, and --retention is above 0")
	}
	if err == nil {
		err = c.sinkFlags.check(a)
	}
	if err != nil {
		return err
	}
	at, err := c.cluster(a)
	if err != nil {
		return err
	}
	// A round trip is a batch's, whose records are shared out over partitions: it had better be long.
	return c.run(ctx, a, sink.Config{MaxRows: 8 << 10, MaxBytes: 2 << 20}, func() (sink.Engine, func(), error) {
		e, err := sinkkafka.NewEngine(sinkkafka.Config{
			Cluster: at, Layout: c.layout(), Logger: a.log,
			Topics: sinkkafka.Topics{Existing: c.Existing, Replicas: c.Replicas, Retention: c.Retention, RetentionBytes: c.RetentionBytes, Configs: c.Set},
		})
		if err != nil {
			return nil, nil, &usageError{err.Error()}
		}
		if err := c.reach(ctx, &at); err != nil {
			_ = e.Close() // which never fails
			return nil, nil, err
		}
		return e, func() { _ = e.Close() }, nil // which never fails
	})
}
