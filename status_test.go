package tickstorm_test

import (
	"errors"
	"fmt"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
)

func parseStatus(t *testing.T, members string) *tickstorm.Status {
	t.Helper()
	return parseOne(t, tickstorm.NewParser(tickstorm.Stocks), `{"ev":"status"`+members+`}`).(*tickstorm.Status)
}

// TestStatusCodes has the server's words as they were seen.
func TestStatusCodes(t *testing.T) {
	const (
		noTopic     = ""
		connections = "Maximum number of websocket connections exceeded. "
	)
	tests := []struct {
		status, message string
		code            tickstorm.StatusCode
		topic           string
	}{
		{"connected", "Connected Successfully", tickstorm.StatusConnected, noTopic},
		{"auth_success", "authenticated", tickstorm.StatusAuthSuccess, noTopic},
		{"auth_success", "", tickstorm.StatusAuthSuccess, noTopic},
		{"auth_failed", "authentication failed", tickstorm.StatusAuthFailed, noTopic},
		{"auth_failed", "", tickstorm.StatusAuthFailed, noTopic},
		{"auth_failed", "Your plan doesn't include websocket access. Visit https://massive.com/pricing to upgrade.", tickstorm.StatusNoPlan, noTopic},
		{"auth_timeout", "No authentication request received.", tickstorm.StatusAuthTimeout, noTopic},
		{"success", "subscribed to: T.AAPL", tickstorm.StatusSubscribed, "T.AAPL"},
		{"success", "subscribed to: XT.X:BTC-USD", tickstorm.StatusSubscribed, "XT.X:BTC-USD"},
		{"success", "subscribed to: T.BRK.B", tickstorm.StatusSubscribed, "T.BRK.B"},
		{"success", "subscribed to: Q.*", tickstorm.StatusSubscribed, "Q.*"},
		{"success", "subscribed to: T.AAPL ", tickstorm.StatusSubscribed, "T.AAPL"},
		{"success", "unsubscribed to: T.AAPL", tickstorm.StatusUnsubscribed, "T.AAPL"},
		{"success", "subscribed to: ", tickstorm.StatusSubscribed, noTopic},
		{"success", "subscribed to: everything", tickstorm.StatusSubscribed, noTopic},
		{"success", "subscribed to: T.AAPL,Q.AAPL", tickstorm.StatusSubscribed, noTopic},
		{"success", "subscribed", tickstorm.StatusAcknowledged, noTopic},
		{"success", "", tickstorm.StatusAcknowledged, noTopic},
		{"success", "you are subscribed to: T.AAPL", tickstorm.StatusOther, noTopic},
		{"error", "not authorized", tickstorm.StatusNotAuthorized, noTopic},
		{"error", "Subscription limit reached for feed. Please remove some subscriptions and try again.", tickstorm.StatusSubscriptionLimit, noTopic},
		{"error", "You don't have access real-time data. If your plan only includes delayed data, you can connect to the delayed websocket at wss://delayed.polygon.io/stocks.", tickstorm.StatusNotRealTime, noTopic},
		{"error", "You don't have access real-time data. If you're already subscribed to a plan that includes real-time data, you may need to visit the dashboard to sign your agreements.", tickstorm.StatusNotRealTime, noTopic},
		{"error", "subscribed to: T.AAPL", tickstorm.StatusRefused, noTopic},
		{"error", "something new", tickstorm.StatusRefused, noTopic},
		{"error", "", tickstorm.StatusRefused, noTopic},
		{"max_connections", "Maximum number of connections exceeded.", tickstorm.StatusMaxConnections, noTopic},
		{"max_connections", connections, tickstorm.StatusMaxConnections, noTopic},
		{"max_connections", connections + "You have reached the connection limit for your account. Please contact support at https://polygon.io/contact to increase your limit.", tickstorm.StatusMaxConnections, noTopic},
		{"disconnected", "", tickstorm.StatusOther, noTopic},
		{"Connected", "Connected Successfully", tickstorm.StatusOther, noTopic},
		{"SUCCESS", "subscribed to: T.AAPL", tickstorm.StatusOther, noTopic},
		{"", "subscribed to: T.AAPL", tickstorm.StatusOther, noTopic},
	}
	for _, tt := range tests {
		t.Run(tt.status+" "+tt.message, func(t *testing.T) {
			made := &tickstorm.Status{Status: []byte(tt.status), Message: []byte(tt.message)}
			parsed := parseStatus(t, `,"status":`+strconv.Quote(tt.status)+`,"message":`+strconv.Quote(tt.message))
			escaped := parseStatus(t, `,"message":`+strconv.Quote(tt.message)+`,"\u0073tatus":`+strconv.Quote(tt.status))
			for _, s := range []*tickstorm.Status{made, parsed, escaped} {
				require.Equal(t, tt.code, s.Code())
				topic, ok := s.Topic()
				require.Equal(t, tt.topic != noTopic, ok)
				if ok {
					require.Equal(t, tt.topic, topic.String())
				}
			}
			require.Equal(t, tt.message, string(parsed.Message))
		})
	}
}

// TestStatusMissing: neither word nor text need be there.
func TestStatusMissing(t *testing.T) {
	tests := []struct {
		name, members string
		code          tickstorm.StatusCode
	}{
		{"nothing", "", tickstorm.StatusOther},
		{"no message", `,"status":"auth_success"`, tickstorm.StatusAuthSuccess},
		{"no status", `,"message":"authenticated"`, tickstorm.StatusOther},
		{"nulls", `,"status":null,"message":null`, tickstorm.StatusOther},
		{"message null", `,"status":"success","message":null`, tickstorm.StatusAcknowledged},
		{"message odd", `,"status":"success","message":["subscribed to: T.AAPL"]`, tickstorm.StatusAcknowledged},
		{"status odd", `,"status":{"connected":true}`, tickstorm.StatusOther},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := parseStatus(t, tt.members)
			require.Equal(t, tt.code, s.Code())
			_, ok := s.Topic()
			require.False(t, ok)
		})
	}
}

// TestStatusTopicIsSafe: the topic of a lent status outlives it.
func TestStatusTopicIsSafe(t *testing.T) {
	var h topicKeeper
	p := tickstorm.NewParser(tickstorm.Stocks)
	msg := []byte(`[{"ev":"status","status":"success","message":"subscribed to: T.ACME"}]`)
	require.NoError(t, p.Parse(msg, &h))
	clear(msg)
	require.NoError(t, p.Parse([]byte(`[{"ev":"status","status":"success","message":"subscribed to: Q.ZZZZ"}]`), &h))
	require.Equal(t, []string{"T.ACME", "Q.ZZZZ"}, []string{h.topics[0].String(), h.topics[1].String()})
}

type topicKeeper struct {
	tickstorm.NopHandler
	topics []tickstorm.Topic
}

func (h *topicKeeper) OnStatus(s *tickstorm.Status) {
	topic, _ := s.Topic()
	h.topics = append(h.topics, topic)
}

func TestStatusError(t *testing.T) {
	identities := []error{
		tickstorm.ErrAuthFailed, tickstorm.ErrNoPlan, tickstorm.ErrAuthTimeout, tickstorm.ErrMaxConnections, tickstorm.ErrNotAuthorized,
		tickstorm.ErrSubscriptionLimit, tickstorm.ErrNotRealTime,
	}
	want := map[tickstorm.StatusCode][]error{
		tickstorm.StatusOther: nil, tickstorm.StatusConnected: nil, tickstorm.StatusAuthSuccess: nil,
		tickstorm.StatusAuthFailed: {tickstorm.ErrAuthFailed}, tickstorm.StatusNoPlan: {tickstorm.ErrAuthFailed, tickstorm.ErrNoPlan},
		tickstorm.StatusAuthTimeout: {tickstorm.ErrAuthTimeout},
		tickstorm.StatusSubscribed:  nil, tickstorm.StatusUnsubscribed: nil, tickstorm.StatusAcknowledged: nil,
		tickstorm.StatusNotAuthorized: {tickstorm.ErrNotAuthorized}, tickstorm.StatusSubscriptionLimit: {tickstorm.ErrSubscriptionLimit},
		tickstorm.StatusNotRealTime: {tickstorm.ErrNotRealTime}, tickstorm.StatusMaxConnections: {tickstorm.ErrMaxConnections},
		tickstorm.StatusRefused: nil,
	}
	names := make(map[string]bool)
	for code, is := range want {
		t.Run(code.String(), func(t *testing.T) {
			err := fmt.Errorf("dial: %w", &tickstorm.StatusError{Code: code})
			for _, identity := range identities {
				matches := false
				for _, w := range is {
					matches = matches || w == identity
				}
				require.Equal(t, matches, errors.Is(err, identity), identity)
			}
			require.False(t, errors.Is(err, tickstorm.ErrSyntax))
		})
		require.False(t, names[code.String()])
		names[code.String()] = true
	}
	require.Equal(t, "other", tickstorm.StatusCode(200).String())
	require.Equal(t, "other", (tickstorm.StatusRefused + 1).String())
}

func TestStatusErrorText(t *testing.T) {
	tests := []struct {
		err  tickstorm.StatusError
		want string
	}{
		{tickstorm.StatusError{Status: "auth_failed", Message: "authentication failed"}, "server says auth_failed: authentication failed"},
		{tickstorm.StatusError{Status: "max_connections", Message: "Maximum exceeded. "}, "server says max_connections: Maximum exceeded."},
		{tickstorm.StatusError{Status: "error"}, "server says error"},
	}
	for _, tt := range tests {
		t.Run(tt.want, func(t *testing.T) { require.Equal(t, tt.want, tt.err.Error()) })
	}
}
