//go:build unix

package parquet_test

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	pq "github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/cputime"
	"github.com/tickstorm/tickstorm/record"
	"github.com/tickstorm/tickstorm/sink/internal/sinktest"
	"github.com/tickstorm/tickstorm/sink/parquet"
)

// benchEvents is how many events a round has.
const benchEvents = 800_000

// head is what all rows begin with. These structs have the encodings of the parts' columns, and zeros for
// what is absent: with pointers the library is slower.
type head struct {
	Channel  string `parquet:"channel,dict"`
	Received int64  `parquet:"received_time,delta,timestamp(nanosecond)"`
	Segment  string `parquet:"segment,dict"`
	Message  int64  `parquet:"message_number,delta"`
	Element  int64  `parquet:"element_number,delta"`
	Gap      int64  `parquet:"gap,delta"`
}

type trade struct {
	head
	Symbol      string   `parquet:"symbol,optional,dict"`
	Event       int64    `parquet:"event_time,optional,delta,timestamp(nanosecond)"`
	Price       float64  `parquet:"price,optional"`
	Size        float64  `parquet:"size,optional"`
	SizeDecimal [16]byte `parquet:"size_decimal,optional,decimal(18:38)"`
	Exchange    int64    `parquet:"exchange,optional,delta"`
	ID          string   `parquet:"trade_id,optional,delta"`
	Tape        int64    `parquet:"tape,optional,delta"`
	Conditions  []int32  `parquet:"conditions,list"`
	Sequence    int64    `parquet:"sequence_number,optional,delta"`
	Participant int64    `parquet:"participant_time,optional,delta,timestamp(nanosecond)"`
	TRF         int64    `parquet:"trf_id,optional,delta"`
	TRFTime     int64    `parquet:"trf_time,optional,delta,timestamp(nanosecond)"`
	Vendor      int64    `parquet:"vendor_received_time,optional,delta,timestamp(nanosecond)"`
	Unreadable  string   `parquet:"unreadable,optional,dict"`
	Extra       string   `parquet:"extra,optional,delta"`
}

type quote struct {
	head
	Symbol      string  `parquet:"symbol,optional,dict"`
	Event       int64   `parquet:"event_time,optional,delta,timestamp(nanosecond)"`
	BidPrice    float64 `parquet:"bid_price,optional"`
	BidSize     float64 `parquet:"bid_size,optional"`
	AskPrice    float64 `parquet:"ask_price,optional"`
	AskSize     float64 `parquet:"ask_size,optional"`
	BidExchange int64   `parquet:"bid_exchange,optional,delta"`
	AskExchange int64   `parquet:"ask_exchange,optional,delta"`
	Exchange    int64   `parquet:"exchange,optional,delta"`
	LastPrice   float64 `parquet:"last_price,optional"`
	LastSize    float64 `parquet:"last_size,optional"`
	Conditions  []int32 `parquet:"conditions,list"`
	Indicators  []int32 `parquet:"indicators,list"`
	Tape        int64   `parquet:"tape,optional,delta"`
	Sequence    int64   `parquet:"sequence_number,optional,delta"`
	Participant int64   `parquet:"participant_time,optional,delta,timestamp(nanosecond)"`
	BidTime     int64   `parquet:"bid_time,optional,delta,timestamp(nanosecond)"`
	AskTime     int64   `parquet:"ask_time,optional,delta,timestamp(nanosecond)"`
	TRF         int64   `parquet:"trf_id,optional,delta"`
	TRFTime     int64   `parquet:"trf_time,optional,delta,timestamp(nanosecond)"`
	Vendor      int64   `parquet:"vendor_received_time,optional,delta,timestamp(nanosecond)"`
	Unreadable  string  `parquet:"unreadable,optional,dict"`
	Extra       string  `parquet:"extra,optional,delta"`
}

type bar struct {
	head
	Symbol           string   `parquet:"symbol,optional,dict"`
	Start            int64    `parquet:"start_time,optional,delta,timestamp(nanosecond)"`
	End              int64    `parquet:"end_time,optional,delta,timestamp(nanosecond)"`
	Open             float64  `parquet:"open,optional"`
	High             float64  `parquet:"high,optional"`
	Low              float64  `parquet:"low,optional"`
	Close            float64  `parquet:"close,optional"`
	Volume           float64  `parquet:"volume,optional"`
	VolumeDecimal    [16]byte `parquet:"volume_decimal,optional,decimal(18:38)"`
	VWAP             float64  `parquet:"vwap,optional"`
	DayVolume        float64  `parquet:"day_volume,optional"`
	DayVolumeDecimal [16]byte `parquet:"day_volume_decimal,optional,decimal(18:38)"`
	DayVWAP          float64  `parquet:"day_vwap,optional"`
	Turnover         float64  `parquet:"turnover,optional"`
	OfficialOpen     float64  `parquet:"official_open,optional"`
	AverageSize      float64  `parquet:"average_size,optional"`
	Transactions     int64    `parquet:"transactions,optional,delta"`
	OTC              bool     `parquet:"over_the_counter,optional"`
	Unreadable       string   `parquet:"unreadable,optional,dict"`
	Extra            string   `parquet:"extra,optional,delta"`
}

// ready keeps events as structs that the library writes.
type ready struct {
	tickstorm.NopHandler
	head   head
	trades []trade
	quotes []quote
	bars   map[tickstorm.Stream][]bar
}

func (r *ready) next(h *tickstorm.Header) head {
	head := r.head
	head.Channel, _ = tickstorm.Stocks.Channel(h.Stream)
	r.head.Element++
	return head
}

func decimal(d *tickstorm.Decimal) (out [16]byte) {
	if len(d.Text) > 0 {
		b, _ := parquet.AppendDecimal(nil, d.Text)
		copy(out[:], b)
	}
	return out
}

func (r *ready) OnTrade(e *tickstorm.Trade) {
	r.trades = append(r.trades, trade{
		head: r.next(&e.Header), Symbol: e.Symbol, Event: e.Timestamp.Nanoseconds(), Price: e.Price, Size: e.Size, SizeDecimal: decimal(&e.SizeDecimal),
		Exchange: int64(e.Exchange), ID: string(e.ID), Tape: int64(e.Tape), Conditions: slices.Clone(e.Conditions), Sequence: e.Sequence,
		Participant: e.ParticipantTimestamp.Nanoseconds(), TRF: int64(e.TRF), TRFTime: e.TRFTimestamp.Nanoseconds(),
	})
}

func (r *ready) OnQuote(e *tickstorm.Quote) {
	r.quotes = append(r.quotes, quote{
		head: r.next(&e.Header), Symbol: e.Symbol, Event: e.Timestamp.Nanoseconds(), BidPrice: e.BidPrice, BidSize: e.BidSize, AskPrice: e.AskPrice, AskSize: e.AskSize,
		BidExchange: int64(e.BidExchange), AskExchange: int64(e.AskExchange), Conditions: slices.Clone(e.Conditions), Indicators: slices.Clone(e.Indicators),
		Tape: int64(e.Tape), Sequence: e.Sequence, Participant: e.ParticipantTimestamp.Nanoseconds(),
	})
}

func (r *ready) OnAggregate(e *tickstorm.Aggregate) {
	r.bars[e.Stream] = append(r.bars[e.Stream], bar{
		head: r.next(&e.Header), Symbol: e.Symbol, Start: e.Start.Nanoseconds(), End: e.End.Nanoseconds(), Open: e.Open, High: e.High, Low: e.Low, Close: e.Close,
		Volume: e.Volume, VolumeDecimal: decimal(&e.VolumeDecimal), VWAP: e.VWAP, DayVolume: e.DayVolume, DayVolumeDecimal: decimal(&e.DayVolumeDecimal),
		DayVWAP: e.DayVWAP, OfficialOpen: e.OfficialOpen, AverageSize: e.AverageSize, OTC: e.OTC,
	})
}

// collect decodes a recording.
func collect(tb testing.TB, dir string) *ready {
	tb.Helper()
	r := &ready{bars: map[tickstorm.Stream][]bar{}}
	reader, err := record.Open(dir)
	require.NoError(tb, err)
	defer reader.Close()
	p := tickstorm.NewParser(tickstorm.Stocks)
	for e, err := range reader.All(tb.Context()) {
		require.NoError(tb, err)
		if e.Raw != nil {
			r.head = head{Received: e.Received, Segment: e.Segment, Message: int64(e.Sequence)}
			require.NoError(tb, p.Parse(e.Raw, r))
		}
	}
	return r
}

// writeAll writes structs as the library's users do: some thousands at a time.
func writeAll[T any](tb testing.TB, path string, rows []T) {
	f, err := os.Create(path)
	require.NoError(tb, err)
	w := pq.NewGenericWriter[T](f, pq.Compression(&zstd.Codec{}), pq.MaxRowsPerRowGroup(128<<10))
	for chunk := range slices.Chunk(rows, 4096) {
		_, err := w.Write(chunk)
		require.NoError(tb, err)
	}
	require.NoError(tb, w.Close())
	require.NoError(tb, f.Close())
}

// BenchmarkRatio compares what goes from a recording into parts, made to outlast a power cut and read
// again, with a loop that gives the same library the same rows as ready structs, and does neither, in turns.
func BenchmarkRatio(b *testing.B) {
	dir := sinktest.Corpus(b, benchEvents)
	rows := collect(b, dir)
	n := float64(len(rows.trades) + len(rows.quotes))
	for _, bars := range rows.bars {
		n += float64(len(bars))
	}
	require.Equal(b, float64(benchEvents), n)
	var ours, theirs, seconds, bytes []float64
	for b.Loop() {
		to := b.TempDir()
		runtime.GC()
		began, had := time.Now(), cputime.Used()
		stats := convert(b, parquet.Config{From: []string{dir}, To: to})
		ours = append(ours, n/time.Since(began).Seconds())
		seconds = append(seconds, (cputime.Used()-had).Seconds()*1e6/n)
		bytes = append(bytes, float64(stats.Bytes)*1e6/n)
		require.NoError(b, os.RemoveAll(to))

		to = b.TempDir()
		runtime.GC()
		began = time.Now()
		writeAll(b, filepath.Join(to, "trades"), rows.trades)
		writeAll(b, filepath.Join(to, "quotes"), rows.quotes)
		for s, bars := range rows.bars {
			writeAll(b, filepath.Join(to, s.String()), bars)
		}
		theirs = append(theirs, n/time.Since(began).Seconds())
		require.NoError(b, os.RemoveAll(to))
	}
	b.ReportMetric(sinktest.Median(ours), "events/s")
	b.ReportMetric(sinktest.Median(theirs), "structs/s")
	b.ReportMetric(sinktest.Median(ours)/sinktest.Median(theirs), "ratio")
	b.ReportMetric(sinktest.Median(seconds), "cpu-s/Mevents")
	b.ReportMetric(sinktest.Median(bytes)/1e6, "MB/Mevents")
	b.ReportMetric(0, "ns/op")
}
