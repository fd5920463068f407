package format

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fixture"
)

// lines are those that a format makes of messages.
func lines(t *testing.T, m tickstorm.Market, f Lines, messages ...string) string {
	h := &writer{f: f}
	p := tickstorm.NewParser(m)
	p.SetReceived(1764081000123456789)
	for _, msg := range messages {
		require.NoError(t, p.Parse([]byte(msg), h))
	}
	return string(h.b)
}

type writer struct {
	f Lines
	b []byte
}

func (w *writer) event(e tickstorm.Event)            { w.b = w.f.Append(w.b, e) }
func (w *writer) OnTrade(e *tickstorm.Trade)         { w.event(e) }
func (w *writer) OnQuote(e *tickstorm.Quote)         { w.event(e) }
func (w *writer) OnAggregate(e *tickstorm.Aggregate) { w.event(e) }
func (w *writer) OnBook(e *tickstorm.Book)           { w.event(e) }
func (w *writer) OnLULD(e *tickstorm.LULD)           { w.event(e) }
func (w *writer) OnImbalance(e *tickstorm.Imbalance) { w.event(e) }
func (w *writer) OnValue(e *tickstorm.Value)         { w.event(e) }
func (w *writer) OnStatus(e *tickstorm.Status)       { w.event(e) }
func (w *writer) OnUnknown(e *tickstorm.Unknown)     { w.event(e) }
func (w *writer) OnError(*tickstorm.EventError)      {}

const (
	trade   = `[{"ev":"T","sym":"BRK.B","i":"00,7","p":480.5,"s":100,"c":[12,37],"t":1764081000100,"q":7}]`
	spaced  = "[ { \"ev\" : \"T\",\n \"sym\":\"A\"\r\n } ]"
	unknown = `[{"ev":"ZZ","x":1}]`
)

func TestElements(t *testing.T) {
	f, err := New(JSON, Options{})
	require.NoError(t, err)
	require.Empty(t, f.Header())
	require.Equal(t, trade[1:len(trade)-1]+"\n"+"{ \"ev\" : \"T\",  \"sym\":\"A\"   }\n"+unknown[1:len(unknown)-1]+"\n", lines(t, tickstorm.Stocks, f, trade, spaced, unknown))
	f, err = New(JSON, Options{Received: true})
	require.NoError(t, err)
	require.Equal(t, `{"received":1764081000123456789,"ev":"ZZ","x":1}`+"\n", lines(t, tickstorm.Stocks, f, unknown))
	require.Equal(t, "{\"received\":5}\n", string(AppendElement(nil, []byte("{}"), 5, true)))
	require.Equal(t, "5 [{}]\n", string(AppendMessage(nil, []byte("[{}]"), 5, true)))
	require.Equal(t, "[{} ]\n", string(AppendMessage(nil, []byte("[{}\n]"), 5, false)))
}

func TestTemplates(t *testing.T) {
	for text, want := range map[string]string{
		"{sym}":                     "BRK.B\n",
		"{symbol},{ev},{channel}":   "BRK.B,T,T\n",
		"{price} {p} {size} {s}":    "480.5 480.5 100 100\n",
		"{bid}{ask}|":               "|\n",
		"{trade_id} {conditions}":   "00,7 [12,37]\n",
		"{lag} {kind} {market} {q}": "23.457ms trade stocks 7\n",
		"{time}":                    "2025-11-25T14:30:00.100Z\n",
		"{received}":                "2025-11-25T14:30:00.123Z\n",
		"{{{sym}}} }} {{":           "{BRK.B} } {\n",
		`{sym}\t{ev}\n`:             "BRK.B\tT\n\n",
		"{event_time}":              "1764081000100000000\n",
		"{raw}":                     trade[1:len(trade)-1] + "\n",
		"{received_time} {seq}":     "1764081000123456789 7\n",
	} {
		f, err := New(text, Options{})
		require.NoError(t, err, text)
		require.Equal(t, want, lines(t, tickstorm.Stocks, f, trade), text)
	}
	f, err := New("{time}", Options{Received: true, Zone: time.FixedZone("", -5*3600)})
	require.NoError(t, err)
	require.Equal(t, "2025-11-25T09:30:00.123-05:00\n", lines(t, tickstorm.Stocks, f, trade))
	f, err = New("{sym} {price} {size} {lag}", Options{})
	require.NoError(t, err)
	require.Equal(t, "I:SPX 6000  \n", lines(t, tickstorm.Indices, f, `[{"ev":"V","T":"I:SPX","val":6000}]`))
	require.Equal(t, "MSFT 2 9 123.457ms\n", lines(t, tickstorm.Stocks, f, `[{"ev":"AM","sym":"MSFT","o":1,"c":2,"v":9,"e":1764081000000}]`))
	for _, bad := range []string{"{", "}", "{}", "{sym", "sym}", "{nothing}", "{gap}", "{message_number}", "a}b{c}", "none"} {
		_, err := New(bad, Options{})
		require.ErrorIs(t, err, ErrForm, bad)
	}
}

// TestControls: whatever a text has, an event is one line, and nothing in it is a command to a terminal.
func TestControls(t *testing.T) {
	const hostile = `[{"ev":"T","sym":"A\u001b[2J\u009b1mé\n","i":"x\r\u007f","p":1}]`
	for text, want := range map[string]string{
		"{sym} {trade_id}": "A\uFFFD[2J\uFFFD1mé\uFFFD x\uFFFD\uFFFD\n",
		Table:              "A\uFFFD[2J\uFFFD1mé\uFFFD",
	} {
		f, err := New(text, Options{})
		require.NoError(t, err)
		got := lines(t, tickstorm.Stocks, f, hostile)
		require.Contains(t, got, want)
		require.Equal(t, 1, strings.Count(got, "\n"))
		require.NotContains(t, got, "\x1b")
	}
}

func TestCSV(t *testing.T) {
	f, err := New(CSV, Options{Columns: []string{"symbol", "trade_id", "p", "bid_price"}})
	require.NoError(t, err)
	require.Equal(t, "symbol,trade_id,p,bid_price\n", f.Header())
	require.Equal(t, "BRK.B,\"00,7\",480.5,\n", lines(t, tickstorm.Stocks, f, trade))
	f, err = New(CSV, Options{Kinds: []tickstorm.Kind{tickstorm.KindTrade}})
	require.NoError(t, err)
	require.Equal(t, strings.Count(f.Header(), ","), strings.Count(lines(t, tickstorm.Stocks, f, strings.ReplaceAll(trade, "00,7", "7")), ",")-1, "but for the list")
	require.Equal(t, "stocks,ZZ,1764081000123456789"+strings.Repeat(",", strings.Count(f.Header(), ",")-2)+"\n", lines(t, tickstorm.Stocks, f, unknown))
	_, err = New(CSV, Options{Columns: []string{"nothing"}})
	require.ErrorIs(t, err, ErrForm)
}

// TestEveryKind: every format has a line for each event of every market.
func TestEveryKind(t *testing.T) {
	for _, m := range tickstorm.Markets() {
		g := fixture.Generator(t, m, 1)
		for _, s := range m.Streams() {
			require.NotEqual(t, tickstorm.KindUnknown, KindOf(s), s)
		}
		var messages []string
		for now := time.Unix(1764081000, 0); len(messages) < 300; now = now.Add(50 * time.Millisecond) {
			messages = append(messages, string(g.AppendMessage(nil, now, 4)))
		}
		for _, name := range []string{JSON, CSV, Table, "{time} {sym} {price} {bid} {raw}"} {
			f, err := New(name, Options{})
			require.NoError(t, err)
			text := lines(t, m, f, messages...)
			require.Equal(t, 4*len(messages), strings.Count(text, "\n"), "%s %s", m, name)
			require.NotContains(t, text, "\n\n")
		}
	}
	require.Equal(t, tickstorm.KindUnknown, KindOf(0))
}
