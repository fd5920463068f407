package kafka_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/record"
	"github.com/tickstorm/tickstorm/sink"
	"github.com/tickstorm/tickstorm/sink/kafka"
)

// printing prints trades, until there were two.
type printing struct {
	tickstorm.NopHandler
	left int
	done chan struct{}
}

func (p *printing) OnTrade(t *tickstorm.Trade) {
	fmt.Println(t.Symbol, t.Price)
	if p.left--; p.left == 0 {
		close(p.done)
	}
}

// A recording goes into Kafka, and comes out of it into the handler that a client would call.
func Example() {
	cluster := kfake.MustCluster(kfake.NumBrokers(1)) // stands for Kafka
	defer cluster.Close()
	at := kafka.Cluster{Brokers: cluster.ListenAddrs()}
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	rec, err := record.NewRecorder(record.Config{Dir: dir, Market: tickstorm.Stocks, MinFree: -1})
	if err != nil {
		log.Fatal(err)
	}
	if err := rec.Start(); err != nil { // as a client's Tap it would be told all this
		log.Fatal(err)
	}
	rec.OnMessage([]byte(`[{"ev":"T","sym":"AAPL","p":210.5},{"ev":"T","sym":"AAPL","p":210.6}]`), time.Now().UnixNano())
	ctx := context.Background()
	if err := rec.Close(ctx); err != nil {
		log.Fatal(err)
	}

	engine, err := kafka.NewEngine(kafka.Config{Cluster: at})
	if err != nil {
		log.Fatal(err)
	}
	defer engine.Close()
	runner, err := sink.NewRunner(engine, sink.NewFolder(sink.FolderConfig{Paths: []string{dir}}), sink.Config{})
	if err != nil {
		log.Fatal(err)
	}
	if err := runner.Run(ctx); err != nil {
		log.Fatal(err)
	}

	h := &printing{left: 2, done: make(chan struct{})}
	consumer, err := kafka.NewConsumer(kafka.ConsumerConfig{Cluster: at, Market: tickstorm.Stocks, Handler: h})
	if err != nil {
		log.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- consumer.Run(ctx) }()
	<-h.done
	if err := consumer.Stop(ctx); err != nil {
		log.Fatal(err)
	}
	if err := <-ended; err != nil {
		log.Fatal(err)
	}
	// Output:
	// AAPL 210.5
	// AAPL 210.6
}
