package tickstorm_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fixture"
)

// transcript writes down each call it receives: the kind and the element as it came.
type transcript struct{ calls []string }

func (r *transcript) add(e tickstorm.Event) {
	r.calls = append(r.calls, e.Kind().String()+" "+string(e.Head().Raw))
}

func (r *transcript) OnTrade(e *tickstorm.Trade)         { r.add(e) }
func (r *transcript) OnQuote(e *tickstorm.Quote)         { r.add(e) }
func (r *transcript) OnAggregate(e *tickstorm.Aggregate) { r.add(e) }
func (r *transcript) OnBook(e *tickstorm.Book)           { r.add(e) }
func (r *transcript) OnLULD(e *tickstorm.LULD)           { r.add(e) }
func (r *transcript) OnImbalance(e *tickstorm.Imbalance) { r.add(e) }
func (r *transcript) OnValue(e *tickstorm.Value)         { r.add(e) }
func (r *transcript) OnStatus(e *tickstorm.Status)       { r.add(e) }
func (r *transcript) OnUnknown(e *tickstorm.Unknown)     { r.add(e) }
func (r *transcript) OnError(e *tickstorm.EventError) {
	r.calls = append(r.calls, fmt.Sprintf("%v: %s", e.Err, e.Raw))
}
func (r *transcript) OnMessageEnd() { r.calls = append(r.calls, "end") }

// rawTranscript also has the ability to take messages raw, and refuses to have them
// decoded if told so.
type rawTranscript struct {
	transcript
	refuse bool
}

func (r *rawTranscript) OnRaw(msg []byte, received int64) bool {
	r.calls = append(r.calls, fmt.Sprintf("raw at %d: %s", received, msg))
	return !r.refuse
}

const (
	badSyntax = "element is not valid JSON: "
	noObject  = "element is no object: "
	noEv      = "element has no ev: "
	tooDeep   = "element is nested deeper than the limit: "
	tooLong   = "element is longer than the limit: "
	truncated = "message is truncated: "
)

func TestMessages(t *testing.T) {
	const (
		trade = `{"ev":"T","sym":"ACME"}`
		quote = `{"ev":"Q","sym":"ACME"}`
	)
	tests := []struct {
		name, msg string
		want      []string
		err       error
	}{
		{"one event", "[" + trade + "]", []string{"trade " + trade}, nil},
		{"several kinds", "[" + trade + "," + quote + "," + trade + "]", []string{"trade " + trade, "quote " + quote, "trade " + trade}, nil},
		{"spaces", " \t\r\n[ \n" + trade + " \t, \r" + quote + " ] \n", []string{"trade " + trade, "quote " + quote}, nil},
		{"empty array", "[]", nil, nil},
		{"empty array with spaces", " [ ] ", nil, nil},
		{"lone object", trade, []string{"trade " + trade}, nil},
		{"lone object with spaces", " " + trade + "\n", []string{"trade " + trade}, nil},
		{"lone empty object", "{}", []string{noEv + "{}"}, nil},
		{"lone broken object", `{"ev":T}`, []string{badSyntax + `{"ev":T}`}, nil},
		{"lone object without its end", `{"ev":"T"`, []string{truncated + `{"ev":"T"`}, tickstorm.ErrTruncated},
		{"lone object that goes on", trade + "x", []string{badSyntax + trade + "x"}, nil},
		{"two lone objects", trade + "," + quote, []string{badSyntax + trade + "," + quote}, nil},

		{"nothing", "", nil, tickstorm.ErrNotArray},
		{"spaces only", " \n", nil, tickstorm.ErrNotArray},
		{"string", `"ev"`, nil, tickstorm.ErrNotArray},
		{"number", "1", nil, tickstorm.ErrNotArray},
		{"null", "null", nil, tickstorm.ErrNotArray},
		{"text", "Bad Gateway", nil, tickstorm.ErrNotArray},
		{"byte order mark", "\uFEFF[]", nil, tickstorm.ErrNotArray},
		{"zero byte", "\x00", nil, tickstorm.ErrNotArray},
		{"space that is none in JSON", "\u00A0[]", nil, tickstorm.ErrNotArray},

		{"bracket", "[", []string{truncated}, tickstorm.ErrTruncated},
		{"bracket and space", "[ ", []string{truncated}, tickstorm.ErrTruncated},
		{"brackets", "[{", []string{truncated + "{"}, tickstorm.ErrTruncated},
		{"no closing bracket", "[" + trade, []string{truncated + trade}, tickstorm.ErrTruncated},
		{"no closing bracket after the second", "[" + trade + "," + quote + " ", []string{"trade " + trade, truncated + quote + " "}, tickstorm.ErrTruncated},
		{"comma at the end", "[" + trade + ",", []string{"trade " + trade, truncated}, tickstorm.ErrTruncated},
		{"cut in a string", "[" + trade + `,{"ev":"Q","sym":"AC],`, []string{"trade " + trade, truncated + `{"ev":"Q","sym":"AC],`}, tickstorm.ErrTruncated},
		{"cut in an escape", `[{"ev":"T\`, []string{truncated + `{"ev":"T\`}, tickstorm.ErrTruncated},
		{"cut in a number", `[{"ev":"T","p":1.`, []string{truncated + `{"ev":"T","p":1.`}, tickstorm.ErrTruncated},

		{"trailing bracket", "[" + trade + "]]", []string{"trade " + trade}, tickstorm.ErrTrailing},
		{"trailing message", "[" + trade + "]\n[" + quote + "]", []string{"trade " + trade}, tickstorm.ErrTrailing},
		{"trailing behind nothing", "[]x", nil, tickstorm.ErrTrailing},
		{"trailing behind an error", "[1]x", []string{noObject + "1"}, tickstorm.ErrTrailing},

		{"broken among sound", "[" + trade + ",{bad}," + quote + "]", []string{"trade " + trade, badSyntax + "{bad}", "quote " + quote}, nil},
		{"broken with brackets inside", "[" + trade + `,{"a":[1,{]},x]},` + quote + "]", []string{"trade " + trade, badSyntax + `{"a":[1,{]},x]}`, "quote " + quote}, nil},
		{"string that hides brackets", `[{"ev" "],{"},` + quote + "]", []string{badSyntax + `{"ev" "],{"}`, "quote " + quote}, nil},
		{"control character", "[{\"ev\":\"T\n\"}," + quote + "]", []string{badSyntax + "{\"ev\":\"T\n\"}", "quote " + quote}, nil},
		{"bad escape", `[{"ev":"\x"},` + quote + "]", []string{badSyntax + `{"ev":"\x"}`, "quote " + quote}, nil},
		{"bad unicode escape", `[{"ev":"\u12G4"},` + quote + "]", []string{badSyntax + `{"ev":"\u12G4"}`, "quote " + quote}, nil},
		{"leading zero", `[{"ev":"T","p":01},` + quote + "]", []string{badSyntax + `{"ev":"T","p":01}`, "quote " + quote}, nil},
		{"not a number", `[{"ev":"T","p":NaN},` + quote + "]", []string{badSyntax + `{"ev":"T","p":NaN}`, "quote " + quote}, nil},
		{"comma in an object", `[{"ev":"T",},` + quote + "]", []string{badSyntax + `{"ev":"T",}`, "quote " + quote}, nil},
		{"no comma between elements", "[" + trade + quote + "," + trade + "]", []string{badSyntax + trade + quote, "trade " + trade}, nil},
		{"space between elements", "[" + trade + " " + quote + "]", []string{badSyntax + trade + " " + quote}, nil},
		{"comma before the bracket", "[1,]", []string{noObject + "1", badSyntax}, nil},
		{"comma alone", "[,]", []string{badSyntax, badSyntax}, nil},
		{"commas", "[" + trade + ",," + quote + "]", []string{"trade " + trade, badSyntax, "quote " + quote}, nil},
		{"last one broken", "[" + trade + ",{]", []string{"trade " + trade, truncated + "{]"}, tickstorm.ErrTruncated},

		{"no objects", `[1,-2.5e3,"T",true,false,null,[],[` + trade + `]]`, []string{
			noObject + "1", noObject + "-2.5e3", noObject + `"T"`, noObject + "true", noObject + "false", noObject + "null", noObject + "[]", noObject + "[" + trade + "]",
		}, nil},
		{"ev missing", `[{"sym":"ACME"},` + quote + "]", []string{noEv + `{"sym":"ACME"}`, "quote " + quote}, nil},
		{"ev in other cases", `[{"EV":"T","Ev":"T","eV":"T"}]`, []string{noEv + `{"EV":"T","Ev":"T","eV":"T"}`}, nil},
		{"ev is no string", `[{"ev":1},{"ev":null},{"ev":["T"]},{"ev":true},{"sym":"A","ev":{}}]`, []string{
			noEv + `{"ev":1}`, noEv + `{"ev":null}`, noEv + `{"ev":["T"]}`, noEv + `{"ev":true}`, noEv + `{"sym":"A","ev":{}}`,
		}, nil},
		{"first ev is no string", `[{"ev":1,"ev":"T"},{"p":1,"ev":null,"ev":"T"}]`, []string{
			noEv + `{"ev":1,"ev":"T"}`, noEv + `{"p":1,"ev":null,"ev":"T"}`,
		}, nil},
		{"ev inside", `[{"a":{"ev":"T"}}]`, []string{noEv + `{"a":{"ev":"T"}}`}, nil},
		{"ev last", `[{"sym":"ACME","ev":"T"}]`, []string{`trade {"sym":"ACME","ev":"T"}`}, nil},
		{"ev twice", `[{"ev":"T","ev":"Q"},{"p":1,"ev":"Q","ev":"T"}]`, []string{`trade {"ev":"T","ev":"Q"}`, `quote {"p":1,"ev":"Q","ev":"T"}`}, nil},
		{"ev unknown", `[{"ev":"ZZ"},{"ev":""},{"ev":"t"},{"ev":"T "},{"ev":"\u0000"},{"p":1,"ev":"Status"}]`, []string{
			`unknown {"ev":"ZZ"}`, `unknown {"ev":""}`, `unknown {"ev":"t"}`, `unknown {"ev":"T "}`, `unknown {"ev":"\u0000"}`, `unknown {"p":1,"ev":"Status"}`,
		}, nil},
		{"status among data", `[` + trade + `,{"ev":"status"},` + quote + `]`, []string{"trade " + trade, `status {"ev":"status"}`, "quote " + quote}, nil},
	}
	p := tickstorm.NewParser(tickstorm.Stocks) // one for all: no message may leave anything to the next
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := p.Stats()
			var got transcript
			require.Equal(t, tt.err, p.Parse([]byte(tt.msg), &got))
			require.Equal(t, append(tt.want, "end"), got.calls)

			after := p.Stats()
			require.Equal(t, before.Messages+1, after.Messages)
			require.Equal(t, before.Bytes+uint64(len(tt.msg)), after.Bytes)
			errs := uint64(0)
			for _, call := range tt.want {
				if strings.HasPrefix(call, "element ") || strings.HasPrefix(call, "message ") {
					errs++
				}
			}
			require.Equal(t, uint64(len(tt.want))-errs, after.Total()-before.Total())
			if tt.err != nil && tt.err != tickstorm.ErrTruncated {
				errs++ // the message itself; that it is truncated was said of its rest
			}
			require.Equal(t, errs, after.Errors-before.Errors)
		})
	}
}

func TestNotUTF8(t *testing.T) {
	for _, msg := range []string{
		"[{\"ev\":\"T\",\"sym\":\"\xff\"}]", "[{\"ev\":\"T\"},\x80]", "[{\"ev\":\"T\"}]\xc3", "[{\"ev\":\"T\",\"i\":\"\xed\xa0\x80\"}]", "\xff",
	} {
		p := tickstorm.NewParser(tickstorm.Stocks)
		var got rawTranscript
		require.Equal(t, tickstorm.ErrUTF8, p.Parse([]byte(msg), &got), "%q", msg)
		require.Empty(t, got.calls, "%q", msg)
		require.EqualValues(t, 1, p.Stats().Errors)
		require.Zero(t, p.Stats().Messages)
	}
}

func TestNilHandler(t *testing.T) {
	p := tickstorm.NewParser(tickstorm.Stocks)
	require.NoError(t, p.Parse([]byte(`[{"ev":"T"},{"ev":"status"},{},1]`), nil))
	s := p.Stats()
	require.Equal(t, uint64(2), s.Total())
	require.Equal(t, uint64(2), s.Errors)
}

func TestDepthLimit(t *testing.T) {
	nested := func(depth int) string { // the object itself is one of them
		return `{"ev":"T","zz":` + strings.Repeat("[", depth-1) + "1" + strings.Repeat("]", depth-1) + "}"
	}
	tests := []struct {
		name  string
		limit int
		most  int
	}{
		{"default", 0, 64},
		{"negative means default", -1, 64},
		{"small", 3, 3},
		{"one", 1, 1},
		{"beyond what the validator can follow", 10_000, 256},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := tickstorm.NewParser(tickstorm.Stocks)
			p.SetLimits(tickstorm.Limits{Depth: tt.limit})
			good, bad := nested(tt.most), nested(tt.most+1)
			var got transcript
			require.NoError(t, p.Parse([]byte("["+good+","+bad+","+good+"]"), &got))
			require.Equal(t, []string{"trade " + good, tooDeep + bad, "trade " + good, "end"}, got.calls)

			got = transcript{}
			require.NoError(t, p.Parse([]byte(bad), &got))
			require.Equal(t, []string{tooDeep + bad, "end"}, got.calls)
		})
	}
	t.Run("without an end", func(t *testing.T) {
		p := tickstorm.NewParser(tickstorm.Stocks)
		var got transcript
		open := strings.Repeat("[", 100_000)
		require.Equal(t, tickstorm.ErrTruncated, p.Parse([]byte("["+open), &got))
		require.Equal(t, []string{truncated + open, "end"}, got.calls)
	})
}

func TestElementLimit(t *testing.T) {
	const element = `{"ev":"T","sym":"ACME"}`
	p := tickstorm.NewParser(tickstorm.Stocks)
	p.SetLimits(tickstorm.Limits{Element: len(element)})
	longer := `{"ev":"T","sym":"ACME2"}`
	var got transcript
	require.NoError(t, p.Parse([]byte("[ "+element+" , "+longer+" , "+element+" ]"), &got))
	require.Equal(t, []string{"trade " + element, tooLong + longer, "trade " + element, "end"}, got.calls)

	got = transcript{}
	require.NoError(t, p.Parse([]byte(" "+element+" "), &got))
	require.NoError(t, p.Parse([]byte(longer), &got))
	require.Equal(t, []string{"trade " + element, "end", tooLong + longer, "end"}, got.calls)

	p = tickstorm.NewParser(tickstorm.Stocks)
	text := func(n int) string { return `{"ev":"ZZ","text":"` + strings.Repeat("x", n-21) + `"}` }
	var rec fixture.Recorder
	require.NoError(t, p.Parse([]byte("["+text(tickstorm.DefaultElement)+","+text(tickstorm.DefaultElement+1)+"]"), &rec))
	require.Len(t, rec.Events, 1)
	require.Len(t, rec.Events[0].Head().Raw, tickstorm.DefaultElement)
	require.Len(t, rec.Errors, 1)
	require.ErrorIs(t, rec.Errors[0], tickstorm.ErrElementTooLong)
	require.Len(t, rec.Errors[0].Raw, tickstorm.DefaultElement+1)
}

func TestMessageLimit(t *testing.T) {
	const msg = `[{"ev":"T","sym":"ACME"}]`
	p := tickstorm.NewParser(tickstorm.Stocks)
	p.SetLimits(tickstorm.Limits{Message: len(msg)})
	var got rawTranscript
	require.NoError(t, p.Parse([]byte(msg), &got))
	require.Len(t, got.calls, 3)
	require.Equal(t, tickstorm.ErrMessageTooLong, p.Parse([]byte(msg+" "), &got))
	require.Len(t, got.calls, 3)
	require.Equal(t, uint64(1), p.Stats().Errors)
	require.Equal(t, uint64(1), p.Stats().Messages)

	p.SetLimits(tickstorm.Limits{})
	require.NoError(t, p.Parse([]byte(msg+strings.Repeat(" ", tickstorm.DefaultMessage-len(msg))), &got))
	require.Equal(t, tickstorm.ErrMessageTooLong, p.Parse([]byte(msg+strings.Repeat(" ", tickstorm.DefaultMessage-len(msg)+1)), &got))
}

func TestRawHandler(t *testing.T) {
	const (
		trade  = `{"ev":"T","sym":"ACME"}`
		status = `{"ev":"status","status":"success"}`
	)
	tests := []struct {
		name   string
		refuse bool
		msg    string
		want   []string
		err    error
	}{
		{"decoded", false, "[" + trade + "," + status + ",1]", []string{"trade " + trade, "status " + status, noObject + "1"}, nil},
		{"refused", true, "[" + trade + "]", nil, nil},
		{"refused but for status", true, "[" + trade + ",1,{bad}," + status + `,{"ev":"ZZ"},{}]`, []string{"status " + status}, nil},
		{"refused, ev behind", true, `[{"message":"x","ev":"status"},` + trade + "]", []string{`status {"message":"x","ev":"status"}`}, nil},
		{"refused, the word escaped", true, `[{"ev":"stat\u0075s"}]`, []string{`status {"ev":"stat\u0075s"}`}, nil},
		{"refused, the word elsewhere", true, `[{"ev":"T","status":1}]`, nil, nil},
		{"refused, broken behind the status", true, "[" + status + ",{", []string{"status " + status}, tickstorm.ErrTruncated},
		{"refused, trailing", true, "[" + status + "]x", []string{"status " + status}, tickstorm.ErrTrailing},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := tickstorm.NewParser(tickstorm.Stocks)
			p.SetReceived(77)
			got := rawTranscript{refuse: tt.refuse}
			for range 2 {
				got.calls = nil
				require.Equal(t, tt.err, p.Parse([]byte(tt.msg), &got))
				require.Equal(t, append(append([]string{"raw at 77: " + tt.msg}, tt.want...), "end"), got.calls)
			}
			require.Equal(t, uint64(2), p.Stats().Messages)
			require.Equal(t, uint64(2*len(tt.msg)), p.Stats().Bytes)
		})
	}
}

// TestEventErrors: an element that is no event says what and when it was.
func TestEventErrors(t *testing.T) {
	p := tickstorm.NewParser(tickstorm.Crypto)
	p.SetReceived(5)
	var rec fixture.Recorder
	require.NoError(t, p.Parse([]byte(`[{"ev"},7]`), &rec))
	require.Equal(t, []*tickstorm.EventError{
		{Err: tickstorm.ErrSyntax, Market: tickstorm.Crypto, Received: 5, Raw: []byte(`{"ev"}`)},
		{Err: tickstorm.ErrNotObject, Market: tickstorm.Crypto, Received: 5, Raw: []byte("7")},
	}, rec.Errors)
	require.ErrorIs(t, rec.Errors[0], tickstorm.ErrSyntax)
	require.False(t, errors.Is(rec.Errors[0], tickstorm.ErrNotObject))
	require.Equal(t, `element is not valid JSON: "{\"ev\"}"`, rec.Errors[0].Error())

	long := &tickstorm.EventError{Err: tickstorm.ErrTruncated, Raw: []byte(strings.Repeat("x", 5000))}
	require.Equal(t, `message is truncated: "`+strings.Repeat("x", 80)+`"… (5000 bytes)`, long.Error())
}

// TestSharedSymbols: parsers that share a table give a symbol the same number.
func TestSharedSymbols(t *testing.T) {
	symbols := tickstorm.NewSymbols(2)
	a, b := tickstorm.NewParser(tickstorm.Stocks), tickstorm.NewParser(tickstorm.Futures)
	a.SetSymbols(symbols)
	b.SetSymbols(symbols)
	id := func(p *tickstorm.Parser, symbol string) uint32 {
		e := parseOne(t, p, `{"ev":"T","sym":"`+symbol+`"}`)
		require.Equal(t, symbol, e.Head().Symbol)
		return e.Head().SymbolID
	}
	require.Equal(t, uint32(1), id(a, "ACME"))
	require.Equal(t, uint32(2), id(b, "ZNH8"))
	require.Equal(t, uint32(1), id(b, "ACME"))
	require.Equal(t, uint32(2), id(a, "ZNH8"))
	require.Equal(t, uint32(0), id(a, "ONE TOO MANY"))
	require.Equal(t, uint32(1), id(a, "ACME"))
	require.Equal(t, uint64(1), symbols.Overflows())
}

// TestStats counts one message that has something of everything.
func TestStats(t *testing.T) {
	p := tickstorm.NewParser(tickstorm.Stocks)
	const msg = `[{"ev":"T","sym":"A","p":"x","q":1.5,"new":1,"newer":null},{"ev":"T","p":null},{"ev":"Q","sym":null},{"ev":"AM","sym":5},` +
		`{"ev":"status"},{"ev":"ZZ","new":1},{"ev":"LULD","T":""},{"ev":"NOI","sym":"A"},{"ev":"V"},{},1]`
	require.NoError(t, p.Parse([]byte(msg), tickstorm.NopHandler{}))
	want := tickstorm.Counters{Messages: 1, Bytes: uint64(len(msg)), Errors: 2, UnknownKeys: 3, Odd: 3, NoSymbol: 4, Fast: 3, Strange: 10}
	want.ErrorCauses[tickstorm.CauseNoEvent] = 1
	want.ErrorCauses[tickstorm.CauseNotObject] = 1
	want.Events[tickstorm.KindTrade] = 2
	want.Events[tickstorm.KindQuote] = 1
	want.Events[tickstorm.KindAggregate] = 1
	want.Events[tickstorm.KindStatus] = 1
	want.Events[tickstorm.KindUnknown] = 2
	want.Events[tickstorm.KindLULD] = 1
	want.Events[tickstorm.KindImbalance] = 1
	got := p.Stats()
	require.Equal(t, want, got.Counters)
	require.Zero(t, got.Latency, "nobody told the time")
	require.Equal(t, uint64(9), got.Total())
}

// TestEngines: the choice of an engine does not show.
func TestEngines(t *testing.T) {
	for _, engine := range []tickstorm.Engine{tickstorm.EngineAuto, tickstorm.EngineFastJSON} {
		for _, f := range fixtures {
			p := tickstorm.NewParser(f.markets[0])
			p.SetEngine(engine)
			requireSame(t, f.want, parseOne(t, p, f.live))
		}
	}
}

// TestLargeElements: memory for one huge element is given up, and what is decoded
// behind it is sound.
func TestLargeElements(t *testing.T) {
	p := tickstorm.NewParser(tickstorm.Crypto)
	levels := strings.Repeat("[1.5,2],", 20_000)
	book := `{"ev":"XL2","pair":"BTC-USD","b":[` + levels + `[3,4]],"a":[]}`
	for range 2 {
		b := parseOne(t, p, book).(*tickstorm.Book)
		require.Len(t, b.Bids, 20_001)
		require.Equal(t, tickstorm.Level{Price: 1.5, Size: 2}, b.Bids[0])
		require.Equal(t, tickstorm.Level{Price: 3, Size: 4}, b.Bids[20_000])
		b = parseOne(t, p, `{"ev":"XL2","pair":"BTC-USD","b":[[5,6]]}`).(*tickstorm.Book)
		require.Equal(t, []tickstorm.Level{{Price: 5, Size: 6}}, b.Bids)
	}
	id := strings.Repeat("7", 100_000)
	require.Equal(t, id, string(parseOne(t, p, `{"ev":"XT","i":`+id+`}`).(*tickstorm.Trade).ID))
	require.Equal(t, "8", string(parseOne(t, p, `{"ev":"XT","i":8}`).(*tickstorm.Trade).ID))
	require.Equal(t, math.MaxFloat64, parseOne(t, p, `{"ev":"XT","p":17976931348623157`+strings.Repeat("0", 292)+`}`).(*tickstorm.Trade).Price)
}

// TestMessageIsTheCallers: Parse only reads it, in poisoned builds too.
func TestMessageIsTheCallers(t *testing.T) {
	for _, f := range fixtures {
		msg := []byte(`[` + f.live + `,{"ev":"ZZ"},{"ev":"\u0054","sym":"\n"},1,{bad},` + f.live)
		before := string(msg)
		p := tickstorm.NewParser(f.markets[0])
		require.Equal(t, tickstorm.ErrTruncated, p.Parse(msg, &fixture.Recorder{}))
		require.Equal(t, before, string(msg))
	}
}
