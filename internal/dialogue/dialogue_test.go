package dialogue_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/dialogue"
)

func TestWordsMeanWhatTheyAreCalled(t *testing.T) {
	for want, s := range map[tickstorm.StatusCode]dialogue.Status{
		tickstorm.StatusConnected:         dialogue.Greeting,
		tickstorm.StatusAuthSuccess:       dialogue.AuthSuccess,
		tickstorm.StatusAuthFailed:        dialogue.AuthFailed,
		tickstorm.StatusNoPlan:            dialogue.NoPlan,
		tickstorm.StatusAuthTimeout:       dialogue.AuthTimeout,
		tickstorm.StatusNotAuthorized:     dialogue.NotAuthorized,
		tickstorm.StatusSubscriptionLimit: dialogue.SubscriptionLimit,
		tickstorm.StatusNotRealTime:       dialogue.NotRealTime,
		tickstorm.StatusMaxConnections:    dialogue.MaxConnections,
		tickstorm.StatusSubscribed:        dialogue.Subscribed("T.AAPL"),
		tickstorm.StatusUnsubscribed:      dialogue.Unsubscribed("T.AAPL"),
	} {
		_, codes := statuses(t, dialogue.AppendMessage(nil, s))
		require.Equal(t, []tickstorm.StatusCode{want}, codes)
	}
}

// read reads a frame as a client does.
func read(t *testing.T, in io.Reader) (ws.OpCode, []byte) {
	h, err := ws.ReadHeader(in)
	require.NoError(t, err)
	require.NoError(t, ws.CheckHeader(h, ws.StateClientSide))
	require.True(t, h.Fin)
	payload := make([]byte, h.Length)
	_, err = io.ReadFull(in, payload)
	require.NoError(t, err)
	return h.OpCode, payload
}

func TestFramesAreWhatTheOracleReads(t *testing.T) {
	for _, n := range []int{0, 1, 125, 126, 127, 65535, 65536, dialogue.MaxMessage} {
		payload := bytes.Repeat([]byte{'x'}, n)
		in := bytes.NewReader(dialogue.AppendFrame(nil, ws.OpText, payload))
		op, got := read(t, in)
		require.Equal(t, ws.OpText, op)
		require.Equal(t, payload, got)
		require.Zero(t, in.Len())
	}
	op, payload := read(t, bytes.NewReader(dialogue.AppendClose(nil, ws.StatusPolicyViolation, "too slow")))
	require.Equal(t, ws.OpClose, op)
	code, reason := ws.ParseCloseFrameData(payload)
	require.Equal(t, ws.StatusPolicyViolation, code)
	require.Equal(t, "too slow", reason)
}

func TestManyStatusesComeInSeveralMessages(t *testing.T) {
	many := make([]dialogue.Status, 250)
	for i := range many {
		many[i] = dialogue.Subscribed("T.A")
	}
	in := bytes.NewReader(dialogue.AppendStatuses(nil, many...))
	var sizes []int
	for in.Len() > 0 {
		_, msg := read(t, in)
		found, _ := statuses(t, msg)
		sizes = append(sizes, len(found))
	}
	require.Equal(t, []int{100, 100, 50}, sizes)
	require.Empty(t, dialogue.AppendStatuses(nil))
}

func TestRequests(t *testing.T) {
	r, err := dialogue.ParseRequest([]byte(`{"action":"subscribe","params":"T.AAPL, Q.*"}`))
	require.NoError(t, err)
	require.Equal(t, dialogue.Request{Action: dialogue.Subscribe, Params: "T.AAPL, Q.*"}, r)
	for _, bad := range []string{``, `[]`, `{"action":1}`, `{"action":"subscribe","params":["T.A"]}`, `{} {}`} {
		_, err := dialogue.ParseRequest([]byte(bad))
		require.Error(t, err, bad)
	}
	topic := func(channel, symbol string) tickstorm.Topic { return tickstorm.Topic{Channel: channel, Symbol: symbol} }
	require.Equal(t, []dialogue.Asked{
		{Topic: topic("T", "BRK.B"), ID: topic("T", "BRK.B")},
		{Topic: topic("Q", "aapl"), ID: topic("Q", "AAPL")},
	}, dialogue.Topics(tickstorm.Stocks, "T.BRK.B,, Q.aapl ,ZZ.A,T.,T,status.x"))
	require.Equal(t, []dialogue.Asked{{Topic: topic("C", "EUR-USD"), ID: topic("C", "EUR/USD")}},
		dialogue.Topics(tickstorm.Forex, "C.EUR-USD"))
	require.Empty(t, dialogue.Topics(tickstorm.Stocks, ""))
}

func TestOverLimit(t *testing.T) {
	held := map[tickstorm.Topic]bool{{Channel: "Q", Symbol: "O:A"}: true, {Channel: "Q", Symbol: "O:B"}: true, {Channel: "T", Symbol: "O:C"}: true}
	for _, c := range []struct {
		name   string
		market tickstorm.Market
		most   int
		params string
		want   int
	}{
		{"room", tickstorm.Options, 3, "Q.O:C", 0},
		{"one too many refuses all of the channel", tickstorm.Options, 3, "Q.O:C,Q.O:D,T.O:E", 2},
		{"what is held counts once", tickstorm.Options, 2, "Q.O:A,Q.O:B", 0},
		{"twice in a request", tickstorm.Options, 3, "Q.O:C,Q.O:C", 0},
		{"all are too many", tickstorm.Options, 1 << 30, "Q.*", 1},
		{"trades have no limit", tickstorm.Options, 1, "T.*", 0},
		{"no limit", tickstorm.Options, -1, "Q.*", 0},
		{"channels are counted apart", tickstorm.Options, 2, "FMV.O:A,FMV.O:B", 0},
		{"no options", tickstorm.Stocks, 1, "Q.A,Q.B", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.want, dialogue.OverLimit(c.market, c.most, held, dialogue.Topics(c.market, c.params)))
		})
	}
}
