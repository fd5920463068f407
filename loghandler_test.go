package tickstorm_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
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
		{"greeting", tickstorm.Stocks, status("connected", "hi"), `level=INFO msg=status code=connected status=connected message=hi`},
		{"acknowledgement", tickstorm.Stocks, status("success", "subscribed to: T.A"), `level=INFO msg=status code=subscribed status=success message="subscribed to: T.A"`},
		{"refusal", tickstorm.Stocks, status("error", "not authorized"), `level=WARN msg=status code="not authorized" status=error message="not authorized"`},
		{"limit", tickstorm.Stocks, status("error", limitReached), `level=WARN msg=status code="subscription limit" status=error message="` + limitReached + `"`},
		{"failure", tickstorm.Stocks, status("auth_failed", "no"), `level=ERROR msg=status code="auth failed" status=auth_failed message=no`},
		{"eviction", tickstorm.Stocks, status("max_connections", "no"), `level=ERROR msg=status code="max connections" status=max_connections message=no`},
		{"new status", tickstorm.Stocks, status("hm", ""), `level=WARN msg=status code=other status=hm message=""`},
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
	require.NoError(t, tickstorm.NewParser(tickstorm.Stocks).Parse([]byte("["+trade("A")+"]"), tickstorm.LogHandler{}))
	require.Contains(t, b.String(), "msg=trade symbol=A")
}
