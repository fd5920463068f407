package prometheus_test

import (
	"fmt"
	"log"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/tickstorm/tickstorm"
	metrics "github.com/tickstorm/tickstorm/metrics/prometheus"
)

// Register a Collector of the client's Stats; promhttp.Handler then serves it.
func ExampleNewCollector() {
	client, err := tickstorm.NewClient(tickstorm.Config{Key: "your key", Market: tickstorm.Stocks}, nil)
	if err != nil {
		log.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(metrics.NewCollector(client.Stats))

	n, err := testutil.GatherAndCount(registry, "tickstorm_events_total")
	fmt.Println(n, "kinds of events", err)
	// Output: 9 kinds of events <nil>
}
