package tickstorm_test

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fixture"
)

func parseStatus(t *testing.T, members string) *tickstorm.Status {
	t.Helper()
	return parseOne(t, tickstorm.NewParser(tickstorm.Stocks), `{"ev":"status"`+members+`}`).(*tickstorm.Status)
}

// TestStatusCodes has the server's words as they were seen, and as others have them.
func TestStatusCodes(t *testing.T) {
	const (
		none        = ""
		connections = "Maximum number of websocket connections exceeded. "
	)
	tests := []struct {
		status, message string
		code            tickstorm.StatusCode
		topics          string
	}{
		{"connected", "Connected Successfully", tickstorm.StatusConnected, none},
		{"auth_success", "authenticated", tickstorm.StatusAuthSuccess, none},
		{"auth_success", "", tickstorm.StatusAuthSuccess, none},
		{"auth_failed", "authentication failed", tickstorm.StatusAuthFailed, none},
		{"auth_failed", "", tickstorm.StatusAuthFailed, none},
		{"auth_failed", "Your plan doesn't include websocket access. Visit https://massive.com/pricing to upgrade.", tickstorm.StatusNoPlan, none},
		{"auth_timeout", "No authentication request received.", tickstorm.StatusAuthTimeout, none},
		{"success", "subscribed to: T.AAPL", tickstorm.StatusSubscribed, "T.AAPL"},
		{"success", "subscribed to: XT.X:BTC-USD", tickstorm.StatusSubscribed, "XT.X:BTC-USD"},
		{"success", "subscribed to: T.BRK.B", tickstorm.StatusSubscribed, "T.BRK.B"},
		{"success", "subscribed to: Q.*", tickstorm.StatusSubscribed, "Q.*"},
		{"success", "subscribed to: T.AAPL ", tickstorm.StatusSubscribed, "T.AAPL"},
		{"success", "unsubscribed to: T.AAPL", tickstorm.StatusUnsubscribed, "T.AAPL"},
		{"success", "subscribed to: ", tickstorm.StatusSubscribed, none},
		{"success", "subscribed to: everything", tickstorm.StatusSubscribed, none},
		{"success", "subscribed to: T.AAPL,Q.AAPL", tickstorm.StatusSubscribed, "T.AAPL,Q.AAPL"},
		{"success", "subscribed to: T.AAPL, Q.AAPL ,AM.*", tickstorm.StatusSubscribed, "T.AAPL,Q.AAPL,AM.*"},
		{"success", "subscribed to: T.AAPL,nonsense,,Q.AAPL", tickstorm.StatusSubscribed, "T.AAPL,Q.AAPL"},
		{"success", "subscribed to: [T.AAPL Q.BRK.B]", tickstorm.StatusSubscribed, "T.AAPL,Q.BRK.B"},
		{"success", `subscribed to: ["T.AAPL","Q.AAPL"]`, tickstorm.StatusSubscribed, "T.AAPL,Q.AAPL"},
		{"success", "Subscribed to T.AAPL.", tickstorm.StatusSubscribed, "T.AAPL"},
		{"success", "subscribed: T.AAPL;Q.AAPL", tickstorm.StatusSubscribed, "T.AAPL,Q.AAPL"},
		{"success", "SUBSCRIBED TO:T.AMpB", tickstorm.StatusSubscribed, "T.AMpB"},
		{"success", "unsubscribed from: T.AAPL,Q.AAPL", tickstorm.StatusUnsubscribed, "T.AAPL,Q.AAPL"},
		{"success", "Unsubscribed from T.AAPL", tickstorm.StatusUnsubscribed, "T.AAPL"},
		{"success", "subscribed together", tickstorm.StatusSubscribed, none},
		{"success", "subscribedto: T.AAPL", tickstorm.StatusOther, none},
		{"success", "subscribed", tickstorm.StatusAcknowledged, none},
		{"success", "Unsubscribed.", tickstorm.StatusAcknowledged, none},
		{"success", "", tickstorm.StatusAcknowledged, none},
		{"success", " \t", tickstorm.StatusAcknowledged, none},
		{"success", "authenticated", tickstorm.StatusAuthSuccess, none},
		{" Success", "Authenticated.", tickstorm.StatusAuthSuccess, none},
		{"success", "Connected Successfully", tickstorm.StatusConnected, none},
		{"success", "not authenticated", tickstorm.StatusOther, none},
		{"success", "you are subscribed to: T.AAPL", tickstorm.StatusOther, none},
		{"error", "not authorized", tickstorm.StatusNotAuthorized, none},
		{"error", "Subscription limit reached for feed. Please remove some subscriptions and try again.", tickstorm.StatusSubscriptionLimit, none},
		{"error", "You don't have access real-time data. If your plan only includes delayed data, you can connect to the delayed websocket at wss://delayed.polygon.io/stocks.", tickstorm.StatusNotRealTime, none},
		{"error", "You don't have access real-time data. If you're already subscribed to a plan that includes real-time data, you may need to visit the dashboard to sign your agreements.", tickstorm.StatusNotRealTime, none},
		{"error", "Not authorized.", tickstorm.StatusNotAuthorized, none},
		{"error", "subscription  limit reached", tickstorm.StatusSubscriptionLimit, none},
		{"error", "You don't have access to real-time data", tickstorm.StatusNotRealTime, none},
		{"error", "authentication failed", tickstorm.StatusAuthFailed, none},
		{"error", "Authentication failed: no such key", tickstorm.StatusAuthFailed, none},
		{"error", "Your plan doesn't include websocket access.", tickstorm.StatusNoPlan, none},
		{"error", "Your plan doesn't include quotes.", tickstorm.StatusRefused, none},
		{"error", "No authentication request received.", tickstorm.StatusAuthTimeout, none},
		{"error", "Invalid JSON", tickstorm.StatusBadRequest, none},
		{"error", "invalid json.", tickstorm.StatusBadRequest, none},
		{"error", "connection limit exceeded", tickstorm.StatusMaxConnections, none},
		{"error", "Connection limit reached for your subscription", tickstorm.StatusMaxConnections, none},
		{"error", "Too many connections", tickstorm.StatusMaxConnections, none},
		{"error", "Maximum connection count exceeded", tickstorm.StatusMaxConnections, none},
		{"error", "Maximum number of websocket connections exceeded. ", tickstorm.StatusMaxConnections, none},
		{"error", "too many subscriptions on your connections", tickstorm.StatusRefused, none},
		{"error", "symbol limit of this connection exceeded", tickstorm.StatusRefused, none},
		{"error", "connection is slow", tickstorm.StatusRefused, none},
		{"error", "you are not authorized to see this", tickstorm.StatusRefused, none},
		{"error", "subscribed to: T.AAPL", tickstorm.StatusRefused, none},
		{"error", "something new", tickstorm.StatusRefused, none},
		{"error", "", tickstorm.StatusRefused, none},
		{"max_connections", "Maximum number of connections exceeded.", tickstorm.StatusMaxConnections, none},
		{"max_connections", connections, tickstorm.StatusMaxConnections, none},
		{"max_connections", connections + "You have reached the connection limit for your account. Please contact support at https://polygon.io/contact to increase your limit.", tickstorm.StatusMaxConnections, none},
		{"MAX_CONNECTION", "", tickstorm.StatusMaxConnections, none},
		{"disconnected", "Max connections reached", tickstorm.StatusMaxConnections, none},
		{"disconnected", "Number of connections: 2", tickstorm.StatusMaxConnections, none},
		{"disconnected", "Connection limit exceeded", tickstorm.StatusMaxConnections, none},
		{"disconnected", "Another connection was opened", tickstorm.StatusMaxConnections, none},
		{"disconnected", "connection closed for maintenance", tickstorm.StatusOther, none},
		{"disconnected", "", tickstorm.StatusOther, none},
		{"Connected", "Connected Successfully", tickstorm.StatusConnected, none},
		{"SUCCESS", "subscribed to: T.AAPL", tickstorm.StatusSubscribed, "T.AAPL"},
		{"auth_success ", "", tickstorm.StatusAuthSuccess, none},
		{"AUTH_FAILED.", "Your plan doesn't include websocket access", tickstorm.StatusNoPlan, none},
		{"auth_success                      x", "", tickstorm.StatusOther, none},
		{"", "subscribed to: T.AAPL", tickstorm.StatusOther, none},
	}
	for _, tt := range tests {
		t.Run(tt.status+" "+tt.message, func(t *testing.T) {
			made := &tickstorm.Status{Status: []byte(tt.status), Message: []byte(tt.message)}
			parsed := parseStatus(t, `,"status":`+strconv.Quote(tt.status)+`,"message":`+strconv.Quote(tt.message))
			escaped := parseStatus(t, `,"message":`+strconv.Quote(tt.message)+`,"\u0073tatus":`+strconv.Quote(tt.status))
			for _, s := range []*tickstorm.Status{made, parsed, escaped} {
				require.Equal(t, tt.code, s.Code())
				require.Equal(t, tt.topics, joined(s))
			}
			require.Equal(t, tt.message, string(parsed.Message))
		})
	}
}

// joined returns the topics that a status names.
func joined(s *tickstorm.Status) string {
	var names []string
	for topic := range s.Topics() {
		names = append(names, topic.String())
	}
	return strings.Join(names, ",")
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
			require.Empty(t, joined(s))
		})
	}
}

// TestStatusTopicsAreSafe: the topics of a lent status outlive it.
func TestStatusTopicsAreSafe(t *testing.T) {
	var h topicKeeper
	p := tickstorm.NewParser(tickstorm.Stocks)
	msg := []byte(`[{"ev":"status","status":"success","message":"subscribed to: T.ACME,T.BRK.B"}]`)
	require.NoError(t, p.Parse(msg, &h))
	clear(msg)
	require.NoError(t, p.Parse([]byte(`[{"ev":"status","status":"success","message":"subscribed to: Q.ZZZZ,Q.YYYYY"}]`), &h))
	require.Equal(t, fixture.Topics(t, "T.ACME,T.BRK.B,Q.ZZZZ,Q.YYYYY"), h.topics)
}

type topicKeeper struct {
	tickstorm.NopHandler
	topics []tickstorm.Topic
}

func (h *topicKeeper) OnStatus(s *tickstorm.Status) {
	h.topics = slices.AppendSeq(h.topics, s.Topics())
}

// TestStatusTopicsStops: who has found what he looked for need not see the rest.
func TestStatusTopicsStops(t *testing.T) {
	s := &tickstorm.Status{Status: []byte("success"), Message: []byte("subscribed to: T.A,T.B,T.C")}
	for topic := range s.Topics() {
		require.Equal(t, "T.A", topic.String())
		break
	}
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
		tickstorm.StatusRefused: nil, tickstorm.StatusBadRequest: nil,
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
	require.Equal(t, "other", (tickstorm.StatusBadRequest + 1).String())
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
