package main

import (
	"context"
	"slices"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sink"
	sinkkafka "github.com/tickstorm/tickstorm/sink/kafka"
)

type consumeKafkaCmd struct {
	consumeFlags
	kafkaFlags
}

// Help implements [kong.HelpProvider].
func (*consumeKafkaCmd) Help() string {
	return "Only the topics of the channels that are asked for are read. A group begins with what they have; what -n cuts off is left for the next, which may see a moment of what was shown again.\n\n" + examples(
		"prices of large trades", "tickstorm consume kafka --brokers 127.0.0.1:9092 -f '{time} {sym} {price} x {size}' --where 'size>=100' 'T.*'",
		"its share of the partitions, beside others", "tickstorm consume kafka --brokers 10.0.0.1:9092 --group books 'Q.*'",
	)
}

// Run runs the verb.
func (c *consumeKafkaCmd) Run(ctx context.Context, a *app) error {
	err := c.check()
	if err == nil && a.Demo {
		err = usagef("--demo is of verbs that have a server of their own: tickstorm consume nats --demo")
	}
	if err != nil {
		return err
	}
	at, err := c.cluster(a)
	if err != nil {
		return err
	}
	return c.run(ctx, a, func(market tickstorm.Market, topics []tickstorm.Topic, h tickstorm.Handler, marks sink.Watermarks) (consumer, func(), error) {
		var channels []string
		for _, t := range topics {
			if !slices.Contains(channels, t.Channel) {
				channels = append(channels, t.Channel)
			}
		}
		reader, err := sinkkafka.NewConsumer(sinkkafka.ConsumerConfig{
			Cluster: at, Layout: c.layout(), Market: market, Channels: channels, Handler: h, Group: c.Group, Watermarks: marks, Logger: a.log,
		})
		if err != nil {
			return nil, nil, &usageError{err.Error()}
		}
		if err := c.reach(ctx, &at); err != nil {
			return nil, nil, err
		}
		return reader, func() {}, nil
	})
}
