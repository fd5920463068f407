// Distributed shows what one machine more is worth: a recorded market goes through a cluster of
// three NATS servers to two consumers, and the sum is right although a server and a consumer die on
// the way.
//
//	go run -C sink/nats ./examples/distributed
//
// All of it runs in one process: the simulator, a client that records, the three servers, the sink
// and the consumers. It ends by itself; its exit code says whether each event of the recording came
// to a consumer once.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/record"
	"github.com/tickstorm/tickstorm/sim"
	"github.com/tickstorm/tickstorm/sink"
	sinknats "github.com/tickstorm/tickstorm/sink/nats"
	"github.com/tickstorm/tickstorm/sink/nats/embedded"
)

const partitions = 4

func main() {
	log.SetFlags(0)
	length := flag.Duration("for", 9*time.Second, "how long to stream; a server dies after a third, a consumer after two")
	rate := flag.Int("rate", 20_000, "events per second")
	flag.Parse()
	if flag.NArg() > 0 || *length <= 0 || *rate <= 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, cancel := context.WithTimeout(context.Background(), *length+2*time.Minute)
	defer cancel()
	if err := run(ctx, *length, *rate, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, length time.Duration, rate int, w io.Writer) error {
	dir, err := os.MkdirTemp("", "distributed-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	recordings := filepath.Join(dir, "recordings")

	cluster, err := embedded.Start(embedded.Config{Dir: filepath.Join(dir, "nats"), Nodes: 3})
	if err != nil {
		return err
	}
	defer cluster.Close()
	fmt.Fprintf(w, "three servers: %s\n", cluster.URL())

	stop, err := stream(ctx, recordings, rate)
	if err != nil {
		return err
	}
	defer stop()

	nc, err := cluster.Connect()
	if err != nil {
		return err
	}
	defer nc.Close()
	layout := sinknats.Layout{Partitions: partitions}
	engine, err := sinknats.NewEngine(nc, sinknats.Config{Layout: layout, Limits: sinknats.Limits{Replicas: 3}})
	if err != nil {
		return err
	}
	folder := sink.NewFolder(sink.FolderConfig{Paths: []string{recordings}, Cursor: filepath.Join(dir, "cursor"), Follow: 50 * time.Millisecond})
	runner, err := sink.NewRunner(engine, folder, sink.Config{})
	if err != nil {
		return err
	}
	failed := make(chan error, 3)
	sinking, stopSinking := context.WithCancel(ctx)
	defer stopSinking()
	go func() { failed <- runner.Run(sinking) }()

	books := newLedger()
	consume := func(name string) (kill context.CancelFunc, err error) {
		nc, err := cluster.Connect()
		if err != nil {
			return nil, err
		}
		handler := books.client(name)
		c, err := sinknats.NewConsumer(nc, sinknats.ConsumerConfig{
			Layout: layout, Market: tickstorm.Stocks, Handler: handler, Watermarks: handler, Replicas: 3, Lease: 3 * time.Second,
		})
		if err != nil {
			return nil, err
		}
		ctx, cancel := context.WithCancel(ctx)
		go func() {
			defer nc.Close()
			if err := c.Run(ctx); !errors.Is(err, context.Canceled) {
				failed <- err
			}
		}()
		return cancel, nil
	}
	killFirst, err := consume("first")
	if err != nil {
		return err
	}
	defer killFirst()
	killSecond, err := consume("second")
	if err != nil {
		return err
	}
	defer killSecond()

	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	began := time.Now()
	for phase, said := 0, ""; ; {
		select {
		case <-ctx.Done():
			return fmt.Errorf("not all has come in time: %w", ctx.Err())
		case err := <-failed:
			return fmt.Errorf("something ended: %w", err)
		case <-tick.C:
		}
		now := fmt.Sprintf("sunk %d, %s", runner.Stats().Rows, books)
		if now != said {
			fmt.Fprintf(w, "%4.0f s: %s\n", time.Since(began).Seconds(), now)
			said = now
		}
		switch {
		case phase == 0 && time.Since(began) > length/3:
			fmt.Fprintln(w, "        killing a server")
			cluster.Kill(1)
			phase++
		case phase == 1 && time.Since(began) > 2*length/3:
			fmt.Fprintln(w, "        killing the first consumer")
			killFirst()
			phase++
		case phase == 2 && time.Since(began) > length:
			fmt.Fprintln(w, "        the market closes")
			if err := stop(); err != nil {
				return err
			}
			phase++
		case phase == 3:
			want, err := sumOf(ctx, recordings)
			if err != nil {
				return err
			}
			if got := books.sum(); got.Events >= want.Events {
				return compare(w, want, got)
			}
		}
	}
}

// stream has a client record the simulator's market, until stop is called.
func stream(ctx context.Context, dir string, rate int) (stop func() error, err error) {
	server, err := sim.Start(sim.Config{Rate: rate, Numbered: true})
	if err != nil {
		return nil, err
	}
	rec, err := record.NewRecorder(record.Config{Dir: dir, Market: tickstorm.Stocks, Flush: 100 * time.Millisecond})
	if err != nil {
		return nil, err
	}
	cfg := server.ClientConfig(tickstorm.Stocks)
	cfg.Tap, cfg.Queue.Inline = rec, true
	client, err := tickstorm.NewClient(cfg, tickstorm.NopHandler{})
	if err != nil {
		return nil, err
	}
	if err := client.SubscribeTopics(ctx, tickstorm.Topic{Channel: "T", Symbol: tickstorm.All}, tickstorm.Topic{Channel: "Q", Symbol: tickstorm.All}); err != nil {
		return nil, err
	}
	if err := rec.Start(); err != nil {
		return nil, err
	}
	if err := client.Start(ctx); err != nil {
		return nil, err
	}
	stopped := false
	return func() error {
		if stopped {
			return nil
		}
		stopped = true
		return errors.Join(client.Close(), rec.Close(ctx), server.Close())
	}, nil
}

// sumOf is the sum of what was recorded, by another way: a replay.
func sumOf(ctx context.Context, dir string) (sum, error) {
	r, err := record.Open(dir)
	if err != nil {
		return sum{}, err
	}
	defer r.Close()
	var s summing
	p, err := record.NewReplay(r, &s, record.ReplayConfig{})
	if err != nil {
		return sum{}, err
	}
	err = p.Run(ctx)
	return s.sum, err
}

var errWrong = errors.New("the sums differ")

func compare(w io.Writer, want, got sum) error {
	fmt.Fprintf(w, "recorded: %v\nconsumed: %v\n", want, got)
	if want != got {
		return errWrong
	}
	fmt.Fprintln(w, "each event of the recording came to a consumer, once")
	return nil
}
