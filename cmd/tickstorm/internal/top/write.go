package top

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/tickstorm/tickstorm"
)

// Line is a snapshot as a line for people, and for grep: each figure behind its name.
func (s *Snapshot) Line(zone *time.Location) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s", s.At.In(zone).Format("15:04:05"), s.Market, strings.ReplaceAll(s.State, " ", "-"))
	field := func(name string, value any) { fmt.Fprintf(&b, " %s=%v", name, value) }
	field("ev/s", number(s.EventRate))
	field("MB/s", megabytes(s.ByteRate))
	for _, c := range s.Channels {
		field(channelName(c.Channel)+"/s", number(c.EventRate))
	}
	field("lag50", known(s.LagP50))
	field("lag99", known(s.LagP99))
	field("age", known(s.Age))
	field("queued", number(float64(s.Queue.Events)))
	field("symbols", s.SymbolCount)
	field("gaps", s.Gaps)
	field("dropped", s.Queue.Dropped)
	field("reconnects", s.Reconnects)
	field("errors", s.Errors)
	if s.Relay != nil {
		field("clients", len(s.Relay.Clients))
	}
	if s.Why != "" {
		field("why", strconv.Quote(s.Why))
	}
	return b.String() + "\n"
}

func channelName(name string) string {
	if name == "" {
		return "unknown"
	}
	return clean(name)
}

// WriteJSON writes a snapshot as an object.
func (s *Snapshot) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(s)
}

// WriteDelimited writes a snapshot as a table with a figure a line: what it is of, its name, and its value.
// Values with the delimiter in them are quoted as in CSV.
func (s *Snapshot) WriteDelimited(w io.Writer, delimiter rune) error {
	c := csv.NewWriter(w)
	c.Comma = delimiter
	line := func(of, name, figure string, value any) {
		var text string
		switch v := value.(type) {
		case float64:
			text = strconv.FormatFloat(v, 'f', -1, 64)
		case *float64:
			if v != nil {
				text = strconv.FormatFloat(*v, 'f', -1, 64)
			}
		default:
			text = fmt.Sprint(v)
		}
		_ = c.Write([]string{of, name, figure, text}) // Error tells
	}
	line("of", "name", "figure", "value")
	feed := func(figure string, value any) { line("feed", string(s.Market), figure, value) }
	feed("at", s.At.UTC().Format(time.RFC3339Nano))
	feed("feed", s.Feed)
	feed("simulator", s.Simulator)
	feed("state", s.State)
	feed("state_seconds", s.StateFor)
	feed("why", s.Why)
	feed("topics", strings.Join(s.Topics, " "))
	feed("acked", s.Acked)
	feed("refused", strings.Join(s.Refused, " "))
	feed("events_per_second", s.EventRate)
	feed("bytes_per_second", s.ByteRate)
	feed("messages_per_second", s.MessageRate)
	feed("events", s.Events)
	feed("bytes", s.Bytes)
	feed("messages", s.Messages)
	feed("lag_p50_seconds", s.LagP50)
	feed("lag_p99_seconds", s.LagP99)
	feed("age_seconds", s.Age)
	feed("gaps", s.Gaps)
	feed("gap_seconds", s.Missing)
	feed("reconnects", s.Reconnects)
	feed("errors", s.Errors)
	feed("symbol_count", s.SymbolCount)
	feed("untracked", s.Untracked)
	queue := func(figure string, value any) { line("queue", "", figure, value) }
	queue("events", s.Queue.Events)
	queue("bytes", s.Queue.Bytes)
	queue("capacity_bytes", s.Queue.Capacity)
	queue("high_water_bytes", s.Queue.HighWater)
	queue("oldest_seconds", s.Queue.Oldest)
	queue("dropped", s.Queue.Dropped)
	queue("conflated", s.Queue.Conflated)
	for i, n := range s.ReconnectCauses {
		if n > 0 {
			line("reconnect", tickstorm.ReconnectCause(i).String(), "count", n)
		}
	}
	for i, n := range s.ErrorCauses {
		if n > 0 {
			line("error", tickstorm.ErrorCause(i).String(), "count", n)
			line("error", tickstorm.ErrorCause(i).String(), "sample", s.ErrorSamples[i])
		}
	}
	for _, ch := range s.Channels {
		line("channel", ch.Channel, "events_per_second", ch.EventRate)
		line("channel", ch.Channel, "bytes_per_second", ch.ByteRate)
		line("channel", ch.Channel, "events", ch.Events)
		line("channel", ch.Channel, "bytes", ch.Bytes)
		line("channel", ch.Channel, "dropped", ch.Dropped)
	}
	for _, list := range []struct {
		of      string
		symbols []Symbol
	}{{"symbol", s.Symbols}, {"silent", s.Silent}} {
		for _, y := range list.symbols {
			line(list.of, y.Symbol, "events_per_second", y.EventRate)
			line(list.of, y.Symbol, "events", y.Events)
			line(list.of, y.Symbol, "share", y.Share)
			line(list.of, y.Symbol, "silent_seconds", y.Silent)
			line(list.of, y.Symbol, "price", y.Price)
		}
	}
	for _, i := range s.Incidents {
		line("incident", i.At.UTC().Format(time.RFC3339Nano), i.Kind, i.Text)
	}
	if s.Relay != nil {
		for _, k := range s.Relay.Clients {
			client := func(figure string, value any) { line("client", strconv.FormatUint(k.ID, 10), figure, value) }
			client("name", k.Name)
			client("address", k.Address)
			client("market", k.Market)
			client("topics", k.Topics)
			client("connected_seconds", k.For)
			client("queued_bytes", k.Queued)
			client("limit_bytes", k.Limit)
			client("waiting", k.Waiting)
			client("delay_p50_seconds", k.DelayP50)
			client("delay_p99_seconds", k.DelayP99)
			client("sent_bytes", k.Sent)
			client("written", k.Written)
			client("dropped", k.Dropped)
			client("conflated", k.Conflated)
		}
	}
	c.Flush()
	return c.Error()
}
