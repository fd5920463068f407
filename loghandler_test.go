package tickstorm_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fixture"
)

func TestLogHandler(t *testing.T) {
	for _, tc := range []struct {
		name   string
		market tickstorm.Market
		event  string
		line   string
	}{
		{"trade", tickstorm.Stocks, `{"ev":"T","sym":"A","p":1.5}`, `level=INFO msg=trade symbol=A event="{\"ev\":\"T\",\"sym\":\"A\",\"p\":1.5}"`},
		{"quote", tickstorm.Forex, `{"ev":"C","p":"EUR/USD"}`, `level=INFO msg=quote symbol=EUR/USD event="{\"ev\":\"C\",\"p\":\"EUR/USD\"}"`},
		{"aggregate", tickstorm.Stocks, `{"ev":"AM","sym":"A"}`, `level=INFO msg=aggregate symbol=A event="{\"ev\":\"AM\",\"sym\":\"A\"}"`},
		{"book", tickstorm.Crypto, `{"ev":"XL2","pair":"BTC-USD"}`, `level=INFO msg=book symbol=BTC-USD event="{\"ev\":\"XL2\",\"pair\":\"BTC-USD\"}"`},
		{"luld", tickstorm.Stocks, `{"ev":"LULD","T":"A"}`, `level=INFO msg=luld symbol=A event="{\"ev\":\"LULD\",\"T\":\"A\"}"`},
		{"imbalance", tickstorm.Stocks, `{"ev":"NOI","T":"A"}`, `level=INFO msg=imbalance symbol=A event="{\"ev\":\"NOI\",\"T\":\"A\"}"`},
		{"value", tickstorm.Indices, `{"ev":"V","T":"I:SPX","val":2}`, `level=INFO msg=value symbol=I:SPX event="{\"ev\":\"V\",\"val\":2,\"T\":\"I:SPX\"}"`},
		{"unknown", tickstorm.Stocks, `{"ev":"NEW","x":1}`, `level=WARN msg="unknown event" ev=NEW event="{\"ev\":\"NEW\",\"x\":1}"`},
		{"error", tickstorm.Stocks, `{"ev":7}`, `level=ERROR msg="no event" err="element has no ev: \"{\\\"ev\\\":7}\""`},
		{"greeting", tickstorm.Stocks, fixture.Status("connected", "hi"), `level=INFO msg=status code=connected status=connected message=hi`},
		{"acknowledgement", tickstorm.Stocks, fixture.Status("success", "subscribed to: T.A"), `level=INFO msg=status code=subscribed status=success message="subscribed to: T.A"`},
		{"refusal", tickstorm.Stocks, fixture.Status("error", "not authorized"), `level=WARN msg=status code="not authorized" status=error message="not authorized"`},
		{"limit", tickstorm.Stocks, fixture.Status("error", limitReached), `level=WARN msg=status code="subscription limit" status=error message="` + limitReached + `"`},
		{"failure", tickstorm.Stocks, fixture.Status("auth_failed", "no"), `level=ERROR msg=status code="auth failed" status=auth_failed message=no`},
		{"eviction", tickstorm.Stocks, fixture.Status("max_connections", "no"), `level=ERROR msg=status code="max connections" status=max_connections message=no`},
		{"new status", tickstorm.Stocks, fixture.Status("hm", ""), `level=WARN msg=status code=other status=hm message=""`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var b bytes.Buffer
			h := tickstorm.LogHandler{Logger: timeless(&b)}
			require.NoError(t, tickstorm.NewParser(tc.market).Parse([]byte("["+tc.event+"]"), h))
			require.Equal(t, tc.line, strings.TrimSuffix(b.String(), "\n"))
		})
	}
}

func TestLogHandlerDefault(t *testing.T) {
	var b bytes.Buffer
	before := slog.Default()
	defer slog.SetDefault(before)
	slog.SetDefault(timeless(&b))
	require.NoError(t, tickstorm.NewParser(tickstorm.Stocks).Parse([]byte("["+fixture.Trade("A")+"]"), tickstorm.LogHandler{}))
	require.Contains(t, b.String(), "msg=trade symbol=A")
}

// TestLogHandlerAbilities: what a Client and a Queue have to say besides events.
func TestLogHandlerAbilities(t *testing.T) {
	cause := errors.New("reset by peer")
	states := func(s tickstorm.StateChange) func(tickstorm.LogHandler) {
		return func(h tickstorm.LogHandler) { h.OnState(&s) }
	}
	topic := []tickstorm.Topic{{Channel: "T", Symbol: "A"}}
	for _, tc := range []struct {
		name string
		call func(tickstorm.LogHandler)
		line string
	}{
		{"connecting", states(tickstorm.StateChange{State: tickstorm.StateConnecting, Attempt: 1}),
			`level=INFO msg=state state=connecting previous=idle attempt=1`},
		{"streaming", states(tickstorm.StateChange{State: tickstorm.StateStreaming, Previous: tickstorm.StateSubscribing, Attempt: 1, Acked: 3}),
			`level=INFO msg=state state=streaming previous=subscribing attempt=1 acked=3 refused=0 pending=0`},
		{"refused", states(tickstorm.StateChange{State: tickstorm.StateStreaming, Previous: tickstorm.StateSubscribing, Attempt: 1, Refused: topic}),
			`level=WARN msg=state state=streaming previous=subscribing attempt=1 acked=0 refused=1 pending=0`},
		{"unanswered", states(tickstorm.StateChange{State: tickstorm.StateStreaming, Previous: tickstorm.StateSubscribing, Attempt: 1, Pending: topic, Unnamed: 1}),
			`level=WARN msg=state state=streaming previous=subscribing attempt=1 acked=0 refused=1 pending=1`},
		{"backoff", states(tickstorm.StateChange{State: tickstorm.StateBackoff, Previous: tickstorm.StateStreaming, Attempt: 2, Err: cause, Wait: time.Second}),
			`level=WARN msg=state state=backoff previous=streaming attempt=2 err="reset by peer" wait=1s`},
		{"closed", states(tickstorm.StateChange{State: tickstorm.StateClosed, Previous: tickstorm.StateStreaming, Attempt: 1}),
			`level=INFO msg=state state=closed previous=streaming attempt=1`},
		{"canceled", states(tickstorm.StateChange{State: tickstorm.StateClosed, Attempt: 1, Err: fmt.Errorf("run: %w", context.Canceled)}),
			`level=INFO msg=state state=closed previous=idle attempt=1 err="run: context canceled"`},
		{"given up", states(tickstorm.StateChange{State: tickstorm.StateClosed, Attempt: 1, Err: cause}),
			`level=ERROR msg=state state=closed previous=idle attempt=1 err="reset by peer"`},
		{"gap", func(h tickstorm.LogHandler) {
			h.OnGap(&tickstorm.Gap{
				Market: tickstorm.Stocks, Topics: topic, Cause: cause, Attempt: 2,
				From: tickstorm.Moment{Received: time.Unix(1, 0)}, To: tickstorm.Moment{Received: time.Unix(3, 5e8)},
			})
		}, `level=WARN msg=gap market=stocks from=1970-01-01T00:00:01.000Z to=1970-01-01T00:00:03.500Z topics=1 attempts=2 cause="reset by peer"`},
		{"drop", func(h tickstorm.LogHandler) {
			h.OnDrop(&tickstorm.Drop{
				Count: 7, Channels: []tickstorm.ChannelCount{{Channel: "", Count: 2}, {Channel: "T", Count: 5}}, First: 1e9, Last: 2e9,
			})
		}, `level=WARN msg=dropped events=7 from=1970-01-01T00:00:01.000Z to=1970-01-01T00:00:02.000Z channels.other=2 channels.T=5`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var b bytes.Buffer
			tc.call(tickstorm.LogHandler{Logger: timeless(&b)})
			require.Equal(t, tc.line, strings.TrimSuffix(b.String(), "\n"))
		})
	}
}
