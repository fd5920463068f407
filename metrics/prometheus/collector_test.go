package prometheus_test

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	metrics "github.com/tickstorm/tickstorm/metrics/prometheus"
)

// snapshot has another number in each metric.
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
	for _, d := range []time.Duration{0, 1024, 1025, 3 * time.Millisecond, time.Hour} {
		s.Lag.Observe(d)
	}
	s.AggregateLag.Observe(2 * time.Second)
	s.Decode.Observe(12 * time.Microsecond)
	s.Interval.Observe(5 * time.Millisecond)
	s.Queue = tickstorm.QueueStats{
		Events: 201, Bytes: 202, Capacity: 203, HighWater: 204, Oldest: 205 * time.Millisecond,
		DroppedBy: []tickstorm.ChannelCount{{Channel: "T", Count: 206}, {Count: 207}}, Conflated: 208,
	}
	return s
}

func TestCollector(t *testing.T) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(metrics.NewCollector(snapshot))
	families, err := registry.Gather()
	require.NoError(t, err)
	var text strings.Builder
	for _, f := range families {
		_, err := expfmt.MetricFamilyToText(&text, f)
		require.NoError(t, err)
	}
	for metric, want := range map[string]string{
		"messages_total": "101", "message_bytes_total": "102", "received_bytes_total": "103",
		`events_total{kind="trade"}`: "104", "skipped_events_total": "105", "no_symbol_events_total": "106",
		"fast_elements_total": "107", `errors_total{cause="too_deep"}`: "108", `errors_total{cause="syntax"}`: "0",
		"unknown_keys_total": "109", "strange_keys_total": "110", "odd_fields_total": "111",
		`topics{state="acked"}`: "112", `topics{state="pending"}`: "113", "refusals_total": "114",
		"refused_topics_total": "115", "reconnects_total": "116",
		`reconnect_attempts_total{cause="server_closed"}`: "117", "negative_lag_total": "118",
		`lag_seconds_bucket{le="1.024e-06"}`: "2", `lag_seconds_bucket{le="2.048e-06"}`: "3",
		`lag_seconds_bucket{le="0.002097152"}`: "3", `lag_seconds_bucket{le="0.004194304"}`: "4",
		`lag_seconds_bucket{le="1099.511627776"}`: "4", `lag_seconds_bucket{le="+Inf"}`: "5", "lag_seconds_count": "5",
		"lag_seconds_sum": "3600.003002049", "aggregate_lag_seconds_sum": "2",
		"decode_seconds_sum": "1.2e-05", "interval_seconds_sum": "0.005",
		"queue_events": "201", "queue_bytes": "202", "queue_capacity_bytes": "203", "queue_high_water_bytes": "204",
		"queue_oldest_seconds": "0.205", `queue_dropped_events_total{channel="T"}`: "206",
		`queue_dropped_events_total{channel="none"}`: "207", "queue_conflated_events_total": "208",
	} {
		require.Contains(t, "\n"+text.String(), "\ntickstorm_"+metric+" "+want+"\n")
	}
}

// TestCollectorLint: the names are as Prometheus wants them.
func TestCollectorLint(t *testing.T) {
	problems, err := testutil.CollectAndLint(metrics.NewCollector(snapshot))
	require.NoError(t, err)
	require.Empty(t, problems)
}

// TestCollectorRegisters: pedantic registries check that what is collected was described.
func TestCollectorRegisters(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	for _, market := range []string{"stocks", "crypto"} {
		labelled := prometheus.WrapRegistererWith(prometheus.Labels{"market": market}, registry)
		require.NoError(t, labelled.Register(metrics.NewCollector(snapshot)))
	}
	families, err := registry.Gather()
	require.NoError(t, err)
	require.Len(t, families, 28)
	for _, f := range families {
		require.True(t, strings.HasPrefix(f.GetName(), "tickstorm_"), f.GetName())
	}
}
