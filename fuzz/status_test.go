package fuzz

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
)

// FuzzStatus sends any word and text through the parser: what they mean is decided by
// what they say, and a topic is one only if it can be sent.
func FuzzStatus(f *testing.F) {
	for _, seed := range [][2]string{
		{"connected", "Connected Successfully"}, {"auth_success", "authenticated"}, {"auth_failed", "authentication failed"},
		{"auth_failed", "Your plan doesn't include websocket access."}, {"auth_timeout", "No authentication request received."},
		{"success", "subscribed to: T.AAPL"}, {"success", "unsubscribed to: XT.X:BTC-USD"}, {"success", "subscribed to:  T.A\t"}, {"success", "subscribed"},
		{"error", "not authorized"}, {"error", "Subscription limit reached for feed."}, {"error", "You don't have access real-time data."},
		{"max_connections", "Maximum number of websocket connections exceeded. "}, {"disconnected", ""}, {"success", "subscribed to: T.A,Q.\n"}, {"success", "subscribed to: T.AAPL, T.MSFT"}, {"success", "Unsubscribed from [T.A 'T.B']."},
		{"success", "authenticated"}, {"error", "authentication failed"}, {"error", "Invalid JSON"}, {"error", "Too many connections"},
		{"disconnected", "connections"}, {" SUCCESS ", "Subscribed."}, {"", "é\"\\\x00"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, word, text string) {
		msg, err := json.Marshal([]map[string]string{{"ev": "status", "status": word, "message": text}})
		require.NoError(t, err)
		var said []map[string]string // with what is no UTF-8 replaced
		require.NoError(t, json.Unmarshal(msg, &said))
		var got collector
		require.NoError(t, tickstorm.NewParser(tickstorm.Stocks).Parse(msg, &got))
		require.Empty(t, got.errors)
		require.Len(t, got.events, 1)
		s, ok := got.events[0].(*tickstorm.Status)
		require.True(t, ok)
		require.Equal(t, tickstorm.StatusStatus|tickstorm.StatusMessage, s.Has)
		require.Zero(t, s.SymbolID)
		require.Equal(t, said[0]["status"], string(s.Status))
		require.Equal(t, said[0]["message"], string(s.Message))

		code := s.Code()
		require.NotEmpty(t, code.String())
		refused := &tickstorm.StatusError{Code: code, Status: string(s.Status), Message: string(s.Message)}
		require.True(t, strings.HasPrefix(refused.Error(), "server says "+string(s.Status)))

		named := false
		for topic := range s.Topics() {
			named = true
			back, err := tickstorm.ParseTopic(topic.String())
			require.NoError(t, err)
			require.Equal(t, topic, back)
			require.Contains(t, string(s.Message), topic.String())
		}
		require.False(t, named && code != tickstorm.StatusSubscribed && code != tickstorm.StatusUnsubscribed)

		// How it is dressed makes no difference.
		dressed := &tickstorm.Status{Status: []byte(" " + strings.ToUpper(word) + "\t"), Message: []byte("\n" + text + " . ")}
		if isASCII(word + text) {
			require.Equal(t, code, dressed.Code())
		}

		// Nor does it matter what key the server's words hold: it is the same dialogue.
		key := string(s.Message)
		if key == "" {
			return
		}
		h := &codes{t: t, key: key}
		session, err := tickstorm.NewSession(tickstorm.Config{Key: key, Market: tickstorm.Stocks, Rand: new(frameMasks)}, h)
		require.NoError(t, err)
		require.Equal(t, session.Feed(textFrames(append(msg, '\n'))), session.Err())
		require.Equal(t, []tickstorm.StatusCode{code}, h.codes)
	})
}

// codes notes what statuses mean, and sees that none has a key in it that is one.
type codes struct {
	tickstorm.NopHandler
	t     *testing.T
	key   string
	codes []tickstorm.StatusCode
}

func (h *codes) OnStatus(s *tickstorm.Status) {
	h.codes = append(h.codes, s.Code())
	if len(h.key) < 8 { // it may be a part of anything
		return
	}
	for _, text := range [][]byte{s.Raw, s.Status, s.Message} {
		require.NotContains(h.t, string(text), h.key)
	}
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
