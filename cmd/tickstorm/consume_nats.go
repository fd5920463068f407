package main

import (
	"context"
	"io"
	"sync"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sink"
	sinknats "github.com/tickstorm/tickstorm/sink/nats"
)

// consumeCmd has an engine a verb.
type consumeCmd struct {
	Nats  consumeNatsCmd  `cmd:"" help:"The streams of NATS JetStream that a sink has filled."`
	Kafka consumeKafkaCmd `cmd:"" help:"The topics of Kafka that a sink has filled."`
}

type consumeNatsCmd struct {
	consumeFlags
	natsFlags
}

// Help implements [kong.HelpProvider].
func (*consumeNatsCmd) Help() string {
	return "Without --url it is the server at " + natsAddress + " that tickstorm sink nats embeds. A group begins with what the streams have; what -n cuts off is left for the next, which may see a moment of what was shown again.\n\n" + examples(
		"made-up data, by way of a server of its own", "tickstorm consume nats --demo -n 3",
		"prices of large trades", "tickstorm consume nats --demo -n 3 -f '{time} {sym} {price} x {size}' --where 'size>=100' 'T.*'",
		"its share of four partitions, beside others", "tickstorm consume nats --url nats://10.0.0.1:4222 --partitions 4 --group books 'Q.*'",
	)
}

// Run runs the verb.
func (c *consumeNatsCmd) Run(ctx context.Context, a *app) (err error) {
	if err = c.natsFlags.check(); err == nil && a.Demo && c.URL != "" {
		err = usagef("--demo is a server of its own, and --url another: say one of them")
	}
	if err != nil {
		return err
	}
	return c.run(ctx, a, func(market tickstorm.Market, topics []tickstorm.Topic, h tickstorm.Handler, marks sink.Watermarks) (consumer, func(), error) {
		url, stop := c.URL, func() {}
		if url == "" {
			url = "nats://" + natsAddress
		}
		if a.Demo {
			if url, stop, err = c.demo(ctx, a, market, topics); err != nil {
				return nil, nil, err
			}
		}
		nc, err := c.connect(ctx, a, url)
		if err != nil {
			stop()
			return nil, nil, err
		}
		end := func() {
			nc.Close()
			stop()
		}
		reader, err := sinknats.NewConsumer(nc, sinknats.ConsumerConfig{
			Layout: c.layout(), Market: market, Handler: h, Group: c.Group, Replicas: c.Replicas, Watermarks: marks, Logger: a.log,
		})
		if err != nil {
			end()
			return nil, nil, &usageError{err.Error()}
		}
		return reader, end, nil
	})
}

// demo has the simulator behind a sink into a server of its own.
func (c *consumeNatsCmd) demo(ctx context.Context, a *app, market tickstorm.Market, topics []tickstorm.Topic) (url string, stop func(), err error) {
	if len(topics) == 0 {
		if topics, err = topicsOf(a, market, demoTopics); err != nil {
			return "", nil, err
		}
	}
	quiet := *a // what is shown is the consumer's
	w := *a.world
	w.stdout, quiet.world, quiet.Quiet = io.Discard, &w, true
	src, err := (&upstream{}).open(&quiet, settings{}, market, demoSubRate)
	if err != nil {
		return "", nil, err
	}
	url, end, err := a.serveNats("", "127.0.0.1:0")
	if err != nil {
		src.close()
		return "", nil, err
	}
	e, disconnect, err := c.engine(ctx, a, url, sinknats.Config{Layout: c.layout()})
	if err != nil {
		end()
		src.close()
		return "", nil, err
	}
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var sinking sync.WaitGroup
	sinking.Go(func() {
		if err := quiet.sinkLive(life, e, src.Config, sink.Config{Logger: a.log}, following{lasting: lasting{Attempts: 3}, topics: topics}); life.Err() == nil {
			a.log.Error("the sink has ended", "err", err)
		}
	})
	return url, func() {
		cancel()
		sinking.Wait()
		disconnect()
		end()
		src.close()
	}, nil
}
