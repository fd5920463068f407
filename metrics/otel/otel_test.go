package otel_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/metrics/otel"
)

// snapshot has another number in each instrument.
func snapshot() tickstorm.Stats {
	var s tickstorm.Stats
	s.Messages, s.Bytes, s.Received = 101, 102, 103
	s.Events[tickstorm.KindTrade] = 104
	s.Skipped, s.NoSymbol, s.Fast = 105, 106, 107
	s.ErrorCauses[tickstorm.CauseTooDeep] = 108
	s.UnknownKeys, s.Strange, s.Odd = 109, 110, 111
	s.AckedTopics, s.PendingTopics, s.Refusals, s.RefusedTopics = 112, 113, 114, 115
	s.Reconnects = 116
	s.ReconnectCauses[tickstorm.ReconnectServerClosed] = 117
	s.NegativeLag = 118
	s.Queue = tickstorm.QueueStats{Events: 201, Bytes: 202, Capacity: 203, HighWater: 204, Oldest: 205 * time.Millisecond, Dropped: 206, Conflated: 207}
	for range 99 {
		s.Lag.Observe(1024)
	}
	s.Lag.Observe(2048)
	s.AggregateLag.Observe(1 << 31)
	s.Decode.Observe(1 << 14)
	return s
}

// collect returns what a reader reads, each as name{attributes} value.
func collect(t *testing.T, reader sdk.Reader) []string {
	t.Helper()
	var data metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(context.Background(), &data))
	var lines []string
	for _, scope := range data.ScopeMetrics {
		for _, m := range scope.Metrics {
			line := func(set attribute.Set, value any) {
				lines = append(lines, fmt.Sprintf("%s{%s} %v %s", m.Name, set.Encoded(attribute.DefaultEncoder()), value, m.Unit))
			}
			switch d := m.Data.(type) {
			case metricdata.Sum[int64]:
				require.Equal(t, m.Name != "tickstorm.topics", d.IsMonotonic, m.Name)
				for _, p := range d.DataPoints {
					line(p.Attributes, p.Value)
				}
			case metricdata.Gauge[float64]:
				for _, p := range d.DataPoints {
					line(p.Attributes, p.Value)
				}
			default:
				t.Errorf("%s is a %T", m.Name, d)
			}
		}
	}
	return lines
}

func TestRegister(t *testing.T) {
	reader := sdk.NewManualReader()
	meter := sdk.NewMeterProvider(sdk.WithReader(reader)).Meter("test")
	registration, err := otel.Register(meter, snapshot, attribute.String("market", "stocks"))
	require.NoError(t, err)
	lines := collect(t, reader)
	for _, want := range []string{
		"messages{market=stocks} 101 {message}", "message.size{market=stocks} 102 By", "received.size{market=stocks} 103 By",
		"events{kind=trade,market=stocks} 104 {event}", "events.skipped{market=stocks} 105 {event}",
		"events.no_symbol{market=stocks} 106 {event}", "elements.fast{market=stocks} 107 {element}",
		"errors{cause=too_deep,market=stocks} 108 {error}", "errors{cause=syntax,market=stocks} 0 {error}",
		"keys.unknown{market=stocks} 109 {key}", "keys.strange{market=stocks} 110 {key}", "fields.odd{market=stocks} 111 {field}",
		"topics{market=stocks,state=acked} 112 {topic}", "topics{market=stocks,state=pending} 113 {topic}",
		"refusals{market=stocks} 114 {refusal}", "topics.refused{market=stocks} 115 {topic}", "reconnects{market=stocks} 116 {reconnect}",
		"reconnect.attempts{cause=server_closed,market=stocks} 117 {attempt}", "lag.negative{market=stocks} 118 {event}",
		"lag{market=stocks,quantile=0.5} 1.024e-06 s", "lag{market=stocks,quantile=0.99} 1.024e-06 s",
		"lag{market=stocks,quantile=0.999} 2.048e-06 s", "lag{market=stocks,quantile=1} 2.048e-06 s", "lag.count{market=stocks} 100 {sample}",
		"aggregate.lag{market=stocks,quantile=0.9} 2.147483648 s", "decode.duration{market=stocks,quantile=0.9} 1.6384e-05 s",
		"interval.count{market=stocks} 0 {sample}",
		"queue.events{market=stocks} 201 {event}", "queue.size{market=stocks} 202 By", "queue.capacity{market=stocks} 203 By",
		"queue.high_water{market=stocks} 204 By", "queue.oldest{market=stocks} 0.205 s",
		"queue.dropped{market=stocks} 206 {event}", "queue.conflated{market=stocks} 207 {event}",
	} {
		require.Contains(t, lines, "tickstorm."+want)
	}
	for _, line := range lines {
		require.NotContains(t, line, "tickstorm.interval{", "nothing is known of it")
	}
	require.NoError(t, registration.Unregister())
	require.Empty(t, collect(t, reader))
}

// TestRegisterTwice: several connections share the instruments and differ by attributes.
func TestRegisterTwice(t *testing.T) {
	reader := sdk.NewManualReader()
	meter := sdk.NewMeterProvider(sdk.WithReader(reader)).Meter("test")
	for _, market := range []string{"stocks", "crypto"} {
		_, err := otel.Register(meter, snapshot, attribute.String("market", market))
		require.NoError(t, err)
	}
	lines := collect(t, reader)
	require.Contains(t, lines, "tickstorm.messages{market=stocks} 101 {message}")
	require.Contains(t, lines, "tickstorm.messages{market=crypto} 101 {message}")
}

// badMeter makes no gauges.
type badMeter struct{ noop.Meter }

var errNoGauges = errors.New("no gauges")

func (badMeter) Float64ObservableGauge(string, ...metric.Float64ObservableGaugeOption) (metric.Float64ObservableGauge, error) {
	return nil, errNoGauges
}

func TestRegisterFails(t *testing.T) {
	_, err := otel.Register(badMeter{}, snapshot)
	require.ErrorIs(t, err, errNoGauges)
}

// Register the client's Stats with a meter; its provider reads them when it exports.
func ExampleRegister() {
	client, err := tickstorm.NewClient(tickstorm.Config{Key: "your key", Market: tickstorm.Stocks}, nil)
	if err != nil {
		log.Fatal(err)
	}
	provider := sdk.NewMeterProvider(sdk.WithReader(sdk.NewPeriodicReader(discard{}, sdk.WithInterval(time.Minute))))
	defer provider.Shutdown(context.Background())

	registration, err := otel.Register(provider.Meter("feed"), client.Stats, attribute.String("market", "stocks"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(registration.Unregister())
	// Output: <nil>
}

// discard is an exporter that exports nowhere.
type discard struct{}

func (discard) Temporality(sdk.InstrumentKind) metricdata.Temporality {
	return metricdata.CumulativeTemporality
}
func (discard) Aggregation(sdk.InstrumentKind) sdk.Aggregation { return sdk.AggregationDefault{} }

func (discard) Export(context.Context, *metricdata.ResourceMetrics) error { return nil }
func (discard) ForceFlush(context.Context) error                          { return nil }
func (discard) Shutdown(context.Context) error                            { return nil }
