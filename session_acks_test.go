package tickstorm_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fixture"
)

const (
	ackTimeout = 10 * time.Second // the default of Config.AckTimeout
	settling   = time.Second      // how long the refusals of a whole request may go on

	limitReached = "Subscription limit reached for feed. Please remove some subscriptions and try again."
	notRealTime  = "You don't have access real-time data. If your plan only includes delayed data, you can connect to the delayed websocket at wss://delayed.polygon.io/stocks."
)

func TestSessionRequestsWaitForAuth(t *testing.T) {
	p := newPeer(t, testConfig(), nil)
	require.NoError(t, p.s.Request(nil, fixture.Topics(t, "T.A,T.B")...))
	require.Len(t, p.requests(), 1, "the key and nothing else")
	require.NoError(t, p.say(fixture.Status("connected", "")))
	require.Empty(t, p.requests())
	require.NoError(t, p.say(fixture.Status("auth_success", "")))
	require.Equal(t, []string{`{"action":"subscribe","params":"T.A,T.B"}`}, p.requests())
	acked, pending := held(p.s)
	require.Empty(t, acked)
	require.Equal(t, "T.A,T.B", pending)
}

// TestSessionAcknowledgements: one request, what the server answers, and what comes of it.
func TestSessionAcknowledgements(t *testing.T) {
	refused := fixture.Status("error", "not authorized")
	limit := fixture.Status("error", limitReached)
	for _, tc := range []struct {
		name     string
		market   tickstorm.Market
		topics   string
		messages [][]string
		wait     time.Duration // after the messages
		acked    string
		pending  string
		refused  string
		is       error // nil for a full acknowledgement
		refusals int
	}{
		{name: "in order", topics: "T.A,T.B", messages: [][]string{fixture.Acks("T.A", "T.B")}, acked: "T.A,T.B"},
		{name: "in another order", topics: "T.A,T.B,T.C", messages: [][]string{fixture.Acks("T.C", "T.A"), fixture.Acks("T.B")}, acked: "T.A,T.B,T.C"},
		{name: "twice", topics: "T.A,T.B", messages: [][]string{fixture.Acks("T.A", "T.A", "T.B")}, acked: "T.A,T.B"},
		{name: "with a dot", topics: "T.BRK.B", messages: [][]string{fixture.Acks("T.BRK.B")}, acked: "T.BRK.B"},
		{name: "of all", topics: "T.*", messages: [][]string{fixture.Acks("T.*")}, acked: "T.*"},
		{name: "space behind", topics: "T.A", messages: [][]string{fixture.Acks("T.A ")}, acked: "T.A"},
		{name: "lower case", topics: "T.aapl", messages: [][]string{fixture.Acks("T.AAPL")}, acked: "T.AAPL"},
		{name: "forex with prefix", market: tickstorm.Forex, topics: "C.EUR-USD", messages: [][]string{fixture.Acks("C.C:EUR-USD")}, acked: "C.EUR/USD"},
		{name: "forex with dash", market: tickstorm.Forex, topics: "C.EUR/USD", messages: [][]string{fixture.Acks("C.EUR-USD")}, acked: "C.EUR/USD"},
		{name: "crypto with prefix", market: tickstorm.Crypto, topics: "XT.BTC-USD", messages: [][]string{fixture.Acks("XT.X:BTC-USD")}, acked: "XT.BTC-USD"},
		{name: "of others", topics: "T.A", messages: [][]string{fixture.Acks("T.B", "Q.A")}, wait: ackTimeout, pending: "T.A"},
		{name: "without topic", topics: "T.A,T.B", messages: [][]string{{fixture.Status("success", "subscribed")}}, acked: "T.A,T.B"},
		{name: "without topic, the rest", topics: "T.A,T.B", messages: [][]string{fixture.Acks("T.A"), {fixture.Status("success", "subscribed")}}, acked: "T.A,T.B"},
		{name: "none", topics: "T.A,T.B", wait: ackTimeout, pending: "T.A,T.B"},
		{name: "of some", topics: "T.A,T.B", messages: [][]string{fixture.Acks("T.B")}, wait: ackTimeout, acked: "T.B", pending: "T.A"},
		{
			name: "refused before", topics: "T.A,Q.A,A.A", messages: [][]string{{refused}, fixture.Acks("T.A", "A.A")},
			acked: "A.A,T.A", refused: "Q.A", is: tickstorm.ErrNotAuthorized, refusals: 1,
		},
		{
			name: "refused after", topics: "T.A,Q.A,A.A", messages: [][]string{fixture.Acks("T.A"), {refused}, {refused}},
			acked: "T.A", refused: "A.A,Q.A", is: tickstorm.ErrNotAuthorized, refusals: 2,
		},
		{name: "all refused", topics: "T.A,Q.A", messages: [][]string{{refused, refused}}, refused: "Q.A,T.A", is: tickstorm.ErrNotAuthorized, refusals: 2},
		{
			name: "refused in part, silent in part", topics: "T.A,Q.A,A.A", messages: [][]string{{refused}, fixture.Acks("T.A")}, wait: ackTimeout,
			acked: "T.A", pending: "A.A,Q.A", is: tickstorm.ErrNotAuthorized, refusals: 1,
		},
		{
			name: "an error of another text", topics: "T.A", messages: [][]string{{fixture.Status("error", "not today")}}, wait: settling,
			pending: "T.A", refusals: 1,
		},
		{
			name: "an error of another text, and all", topics: "T.A,T.B", messages: [][]string{fixture.Acks("T.A"), {fixture.Status("error", "slow down")}, fixture.Acks("T.B")},
			acked: "T.A,T.B", refusals: 1,
		},
		{
			name: "an error of another text and a refusal", topics: "T.A,Q.A", messages: [][]string{{fixture.Status("error", "slow down"), refused}, fixture.Acks("T.A")},
			acked: "T.A", refused: "Q.A", is: tickstorm.ErrNotAuthorized, refusals: 2,
		},
		{
			name: "an error of another text, silence in part", topics: "T.A,T.B,T.C", messages: [][]string{{fixture.Status("error", "not today")}, fixture.Acks("T.B")}, wait: settling,
			acked: "T.B", pending: "T.A,T.C", refusals: 1,
		},
		{name: "a bad request of nobody's", topics: "T.A,T.B", messages: [][]string{{fixture.Status("error", "Invalid JSON")}, fixture.Acks("T.A", "T.B")}, acked: "T.A,T.B"},
		{name: "a bad request, silence", topics: "T.A", messages: [][]string{{fixture.Status("error", "Invalid JSON")}}, wait: ackTimeout, pending: "T.A"},
		{name: "several in one", topics: "T.AAPL,T.MSFT", messages: [][]string{{fixture.Status("success", "subscribed to: T.AAPL,T.MSFT")}}, acked: "T.AAPL,T.MSFT"},
		{name: "several in one, spaced", topics: "T.AAPL,T.MSFT", messages: [][]string{{fixture.Status("success", "subscribed to: T.AAPL, T.MSFT")}}, acked: "T.AAPL,T.MSFT"},
		{name: "several in one, loudly", topics: "T.A,T.B", messages: [][]string{{fixture.Status("Success", "Subscribed to: T.A,T.B.")}}, acked: "T.A,T.B"},
		{name: "several and a stranger", topics: "T.A,T.B", messages: [][]string{{fixture.Status("success", "subscribed to: T.A,nonsense,T.B")}}, acked: "T.A,T.B"},
		{
			name: "one and a stranger", topics: "T.A,T.B", messages: [][]string{{fixture.Status("success", "subscribed to: T.A,nonsense")}}, wait: settling,
			acked: "T.A", pending: "T.B",
		},
		{name: "of nothing", topics: "T.A", messages: [][]string{{fixture.Status("success", "subscribed to: ")}}, wait: settling, pending: "T.A"},
		{name: "of the opposite", topics: "T.A", messages: [][]string{{fixture.Status("success", "unsubscribed")}}, wait: settling, pending: "T.A"},
		{name: "by another word", topics: "T.A", messages: [][]string{{fixture.Status("success", "you have got it")}}, wait: settling, pending: "T.A"},
		{name: "in capitals", topics: "T.AMpB", messages: [][]string{fixture.Acks("T.AMPB")}, acked: "T.AMpB"},
		{name: "of another that is held", topics: "T.AMpB,T.AMPB", messages: [][]string{fixture.Acks("T.AMPB", "T.AMPB"), fixture.Acks("T.AMpB")}, acked: "T.AMPB,T.AMpB"},
		{name: "with another separator", topics: "T.BRK.B", messages: [][]string{fixture.Acks("T.BRK/B")}, acked: "T.BRK.B"},
		{name: "of one of two", topics: "T.AMpB,T.AMPb", messages: [][]string{fixture.Acks("T.AMPB")}, wait: ackTimeout, pending: "T.AMPb,T.AMpB"},
		{name: "forex without separator", market: tickstorm.Forex, topics: "C.EUR/USD", messages: [][]string{fixture.Acks("C.C:EURUSD")}, acked: "C.EUR/USD"},
		{
			name: "over the limit", market: tickstorm.Options, topics: "Q.O:A,Q.O:B,Q.O:C", messages: [][]string{{limit}}, wait: settling,
			refused: "Q.O:A,Q.O:B,Q.O:C", is: tickstorm.ErrSubscriptionLimit, refusals: 1,
		},
		{
			name: "over the limit, said often", market: tickstorm.Options, topics: "Q.O:A,Q.O:B", messages: [][]string{{limit, limit}, {limit, limit, limit}}, wait: settling,
			refused: "Q.O:A,Q.O:B", is: tickstorm.ErrSubscriptionLimit, refusals: 5,
		},
		{
			name: "not real-time", topics: "T.A,T.B", messages: [][]string{{fixture.Status("error", notRealTime)}}, wait: settling,
			refused: "T.A,T.B", is: tickstorm.ErrNotRealTime, refusals: 1,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := testConfig()
			if tc.market != "" {
				cfg.Market = tc.market
			}
			p := readyPeer(t, cfg, nil)
			var o outcome
			require.NoError(t, p.s.Request(o.done, fixture.Topics(t, tc.topics)...))
			require.Len(t, p.subscribed(), 1)
			for _, m := range tc.messages {
				require.Zero(t, o.calls)
				require.NoError(t, p.say(m...))
			}
			if tc.wait > 0 {
				p.after(tc.wait - 1)
				require.Zero(t, o.calls)
				p.after(1)
			}
			require.Equal(t, 1, o.calls)
			acked, pending := held(p.s)
			require.Equal(t, tc.acked, acked)
			require.Equal(t, tc.pending, pending, "what was not answered is not given up, and what was refused is")
			require.EqualValues(t, tc.refusals, p.s.Stats().Refusals)
			if tc.pending == "" && tc.refused == "" {
				require.NoError(t, o.err)
				return
			}
			e := o.detail(t)
			require.Equal(t, tc.acked, fixture.Listed(e.Acked))
			require.Equal(t, tc.pending, fixture.Listed(e.Pending))
			require.Equal(t, tc.refused, fixture.Listed(e.Refused))
			require.Len(t, e.Refusals, tc.refusals)
			require.NoError(t, e.Err)
			if tc.is != nil {
				require.ErrorIs(t, e, tc.is)
			}
		})
	}
}

// TestSessionUnclearAnswers: what is not understood costs a request no more than a moment,
// and the connection nothing that it may have been granted.
func TestSessionUnclearAnswers(t *testing.T) {
	for _, answer := range []string{fixture.Status("error", "not today"), fixture.Status("success", "as you wish"), fixture.Status("success", "subscribed to: everything")} {
		t.Run(answer, func(t *testing.T) {
			p := readyPeer(t, testConfig(), nil)
			var first, second outcome
			require.NoError(t, p.s.Request(first.done, fixture.Topics(t, "T.A")...))
			require.NoError(t, p.s.Request(second.done, fixture.Topics(t, "T.B")...))
			require.NoError(t, p.say(answer))
			require.Equal(t, settling, p.after(0))
			p.after(settling)
			require.Equal(t, "T.A", fixture.Listed(first.detail(t).Pending))
			require.Equal(t, []string{"T.A", "T.B"}, p.subscribed(), "the next one goes out")
			require.NoError(t, p.say(fixture.Acks("T.A", "T.B")...))
			require.Equal(t, outcome{calls: 1}, second)
			acked, pending := held(p.s)
			require.Equal(t, "T.A,T.B", acked, "it was granted after all")
			require.Empty(t, pending)
		})
	}
}

// TestSessionUnclearIsPatient: answers that go on coming are waited for, as long as any.
func TestSessionUnclearIsPatient(t *testing.T) {
	p := readyPeer(t, testConfig(), nil)
	var o outcome
	require.NoError(t, p.s.Request(o.done, fixture.Topics(t, "T.A,T.B,T.C")...))
	require.NoError(t, p.say(fixture.Status("error", "slow down")))
	p.after(settling - 1)
	require.NoError(t, p.say(fixture.Acks("T.A")...))
	p.after(settling - 1)
	require.NoError(t, p.say(fixture.Acks("T.B")...))
	p.after(settling - 1)
	require.NoError(t, p.say(fixture.Acks("T.C")...))
	require.Equal(t, outcome{calls: 1}, o)

	var again outcome
	require.NoError(t, p.s.Request(again.done, fixture.Topics(t, "Q.A")...))
	for range 2 * ackTimeout / settling {
		p.after(settling / 2)
		require.NoError(t, p.say(fixture.Status("error", "slow down")))
	}
	require.Equal(t, "Q.A", fixture.Listed(again.detail(t).Pending), "but no longer than without them")
}

func TestSessionUnsubscribesByOtherWords(t *testing.T) {
	for _, answer := range []string{"unsubscribed from: T.A,T.B", "unsubscribed to: T.A, T.B", "Unsubscribed from T.B,T.A.", "unsubscribed"} {
		t.Run(answer, func(t *testing.T) {
			p := readyPeer(t, testConfig(), nil)
			require.NoError(t, p.s.Request(nil, fixture.Topics(t, "T.A,T.B")...))
			require.NoError(t, p.say(fixture.Acks("T.A", "T.B")...))
			var o outcome
			require.NoError(t, p.s.Withdraw(o.done, fixture.Topics(t, "T.A,T.B")...))
			require.NoError(t, p.say(fixture.Status("success", answer)))
			require.Equal(t, outcome{calls: 1}, o)
			acked, pending := held(p.s)
			require.Empty(t, acked+pending)
		})
	}
}

// TestSessionOldWordsForTheKey: older servers answer it by success and error.
func TestSessionOldWordsForTheKey(t *testing.T) {
	p := newPeer(t, testConfig(), nil)
	require.NoError(t, p.say(fixture.Status("success", "Connected Successfully")))
	require.Equal(t, tickstorm.Authenticating, p.s.State())
	require.NoError(t, p.say(fixture.Status("success", "authenticated")))
	require.Equal(t, tickstorm.Ready, p.s.State())

	p = newPeer(t, testConfig(), nil)
	require.ErrorIs(t, p.say(fixture.Status("error", "authentication failed")), tickstorm.ErrAuthFailed)
}

func TestSessionLateAcknowledgement(t *testing.T) {
	p := readyPeer(t, testConfig(), nil)
	var o outcome
	require.NoError(t, p.s.Request(o.done, fixture.Topics(t, "T.A")...))
	p.requests()
	p.after(ackTimeout)
	require.Equal(t, "T.A", fixture.Listed(o.detail(t).Pending))
	require.NoError(t, p.say(fixture.Acks("T.A")...))
	acked, pending := held(p.s)
	require.Equal(t, "T.A", acked)
	require.Empty(t, pending)
	require.Equal(t, 1, o.calls, "the result stays what it was")
}

func TestSessionChunks(t *testing.T) {
	cfg := testConfig()
	cfg.ChunkTopics = 2
	p := readyPeer(t, cfg, nil)
	var first, second outcome
	require.NoError(t, p.s.Request(first.done, fixture.Topics(t, "T.A,T.B,T.C,T.D,T.E")...))
	require.NoError(t, p.s.Request(second.done, fixture.Topics(t, "Q.A")...))
	require.Equal(t, []string{"T.A,T.B"}, p.subscribed(), "one request is in flight")
	require.NoError(t, p.say(fixture.Acks("T.A")...))
	require.Empty(t, p.subscribed())
	require.NoError(t, p.say(fixture.Acks("T.B")...))
	require.Equal(t, []string{"T.C,T.D"}, p.subscribed())
	require.NoError(t, p.say(fixture.Acks("T.D", "T.C")...))
	require.Equal(t, []string{"T.E"}, p.subscribed())
	require.Zero(t, first.calls)
	require.NoError(t, p.say(fixture.Acks("T.E")...))
	require.Equal(t, outcome{calls: 1}, first)
	require.Equal(t, []string{"Q.A"}, p.subscribed())
	require.Zero(t, second.calls)
	require.NoError(t, p.say(fixture.Acks("Q.A")...))
	require.Equal(t, outcome{calls: 1}, second)
}

// TestSessionRefusalStaysWithItsChunk: refusals name nothing, so those of a request that
// was refused as a whole must not be taken for the next one's.
func TestSessionRefusalStaysWithItsChunk(t *testing.T) {
	cfg := testConfig()
	cfg.Market = tickstorm.Options
	cfg.ChunkTopics = 20
	p := readyPeer(t, cfg, nil)
	var list []string
	for i := range 40 {
		list = append(list, fmt.Sprintf("Q.O:X%02d", i))
	}
	var o outcome
	require.NoError(t, p.s.Request(o.done, fixture.Topics(t, strings.Join(list, ","))...))
	require.Len(t, p.subscribed(), 1)
	for range 27 { // as many were seen for a request of 200
		p.after(settling / 2)
		require.NoError(t, p.say(fixture.Status("error", limitReached)))
		require.Empty(t, p.subscribed(), "it goes on as long as refusals come")
	}
	require.Equal(t, settling, p.after(0))
	p.after(settling)
	require.Equal(t, []string{strings.Join(list[20:], ",")}, p.subscribed())
	require.NoError(t, p.say(fixture.Acks(list[20:]...)...))
	e := o.detail(t)
	require.Equal(t, strings.Join(list[:20], ","), fixture.Listed(e.Refused))
	require.Equal(t, strings.Join(list[20:], ","), fixture.Listed(e.Acked))
	require.Len(t, e.Refusals, 27)
}

// TestSessionAcknowledgedThoughRefused: an acknowledgement names its topic and outweighs
// a refusal that does not.
func TestSessionAcknowledgedThoughRefused(t *testing.T) {
	cfg := testConfig()
	cfg.Market = tickstorm.Options
	p := readyPeer(t, cfg, nil)
	var o outcome
	require.NoError(t, p.s.Request(o.done, fixture.Topics(t, "Q.O:A,T.O:A")...))
	require.NoError(t, p.say(append([]string{fixture.Status("error", limitReached)}, fixture.Acks("T.O:A")...)...))
	require.Zero(t, o.calls, "more refusals of the request may come")
	p.after(settling)
	require.Equal(t, "T.O:A", fixture.Listed(o.detail(t).Acked))
	require.Equal(t, "Q.O:A", fixture.Listed(o.detail(t).Refused))
}

func TestSessionDuplicates(t *testing.T) {
	p := readyPeer(t, testConfig(), nil)
	var o outcome
	require.NoError(t, p.s.Request(o.done, fixture.Topics(t, "T.A,T.A,T.a,T.B")...))
	require.Equal(t, []string{"T.A,T.B"}, p.subscribed())
	require.NoError(t, p.say(fixture.Acks("T.A", "T.B")...))
	require.Equal(t, outcome{calls: 1}, o)

	// The server would not answer what is held: not asking saves waiting.
	var again outcome
	require.NoError(t, p.s.Request(again.done, fixture.Topics(t, "T.B,T.A")...))
	require.Empty(t, p.requests())
	require.Equal(t, outcome{calls: 1}, again)

	var more outcome
	require.NoError(t, p.s.Request(more.done, fixture.Topics(t, "T.B,T.C")...))
	require.Equal(t, []string{"T.C"}, p.subscribed())
	require.NoError(t, p.say(fixture.Acks("T.C")...))
	require.Equal(t, outcome{calls: 1}, more)
}

func TestSessionDuplicateInQueue(t *testing.T) {
	p := readyPeer(t, testConfig(), nil)
	var first, second outcome
	require.NoError(t, p.s.Request(first.done, fixture.Topics(t, "T.A")...))
	require.NoError(t, p.s.Request(second.done, fixture.Topics(t, "T.A")...))
	require.Equal(t, []string{"T.A"}, p.subscribed())
	require.NoError(t, p.say(fixture.Acks("T.A")...))
	require.Equal(t, outcome{calls: 1}, first)
	require.Equal(t, outcome{calls: 1}, second)
	require.Empty(t, p.requests())
}

// TestSessionUnknownChannel: the server never answers a channel that it does not know,
// which must not hold up the others.
func TestSessionUnknownChannel(t *testing.T) {
	p := readyPeer(t, testConfig(), nil)
	var odd, plain outcome
	require.NoError(t, p.s.Request(odd.done, fixture.Topics(t, "ZZ.A,ZZ.b")...))
	require.NoError(t, p.s.Request(plain.done, fixture.Topics(t, "T.A")...))
	require.NoError(t, p.s.Request(plain.done, fixture.Topics(t, "T.B")...))
	require.Equal(t, []string{"ZZ.A,ZZ.b", "T.A"}, p.subscribed())
	require.NoError(t, p.say(fixture.Status("success", "subscribed")))
	require.Equal(t, []string{"T.B"}, p.subscribed(), "the one that a server answers was meant")
	require.NoError(t, p.say(fixture.Status("error", "not authorized")))
	require.Equal(t, 2, plain.calls)
	require.ErrorIs(t, plain.err, tickstorm.ErrNotAuthorized)
	require.Zero(t, odd.calls)
	p.after(ackTimeout)
	require.Equal(t, "ZZ.A,ZZ.b", fixture.Listed(odd.detail(t).Pending))
	require.Empty(t, odd.detail(t).Refusals)
}

func TestSessionUnknownAndKnownTogether(t *testing.T) {
	p := readyPeer(t, testConfig(), nil)
	var o outcome
	require.NoError(t, p.s.Request(o.done, fixture.Topics(t, "ZZ.A,T.A")...))
	require.Equal(t, []string{"T.A", "ZZ.A"}, p.subscribed())
	require.NoError(t, p.say(fixture.Acks("ZZ.A", "T.A")...))
	require.Equal(t, outcome{calls: 1}, o, "a newer server may know it")
}

func TestSessionUnsubscribe(t *testing.T) {
	p := readyPeer(t, testConfig(), nil)
	require.NoError(t, p.s.Request(nil, fixture.Topics(t, "T.A,T.B,T.C")...))
	require.NoError(t, p.say(fixture.Acks("T.A", "T.B")...))
	p.after(ackTimeout)
	p.requests()

	var o outcome
	require.NoError(t, p.s.Withdraw(o.done, fixture.Topics(t, "T.a,T.C,T.NONE")...))
	require.Equal(t, []string{`{"action":"unsubscribe","params":"T.A,T.C"}`}, p.requests(), "what is not held is not asked for")
	require.NoError(t, p.say(fixture.Acks("T.A")...))
	require.Zero(t, o.calls)
	acked, _ := held(p.s)
	require.Equal(t, "T.A,T.B", acked, "an acknowledgement of the opposite is none")
	require.NoError(t, p.say(fixture.Status("success", "unsubscribed to: T.C"), fixture.Status("success", "unsubscribed to: T.A")))
	require.Equal(t, outcome{calls: 1}, o)
	acked, pending := held(p.s)
	require.Equal(t, "T.B", acked)
	require.Empty(t, pending)

	require.NoError(t, p.s.Withdraw(nil, fixture.Topics(t, "T.B")...))
	require.NoError(t, p.s.Request(nil, fixture.Topics(t, "T.B")...))
	require.Equal(t, []string{`{"action":"unsubscribe","params":"T.B"}`}, p.requests())
	require.NoError(t, p.say(fixture.Status("success", "unsubscribed to: T.B")))
	require.Equal(t, []string{"T.B"}, p.subscribed(), "what has been given up is asked for again")
}

func TestSessionUnsubscribeUnanswered(t *testing.T) {
	p := readyPeer(t, testConfig(), nil)
	require.NoError(t, p.s.Request(nil, fixture.Topics(t, "T.A")...))
	require.NoError(t, p.say(fixture.Acks("T.A")...))
	var o outcome
	require.NoError(t, p.s.Withdraw(o.done, fixture.Topics(t, "T.A")...))
	p.after(ackTimeout)
	require.Equal(t, "T.A", fixture.Listed(o.detail(t).Pending))
	acked, _ := held(p.s)
	require.Equal(t, "T.A", acked, "it is held until the server says otherwise")
	require.NoError(t, p.say(fixture.Status("success", "unsubscribed to: T.A")))
	acked, pending := held(p.s)
	require.Empty(t, acked+pending)
}

func TestSessionOptionQuotes(t *testing.T) {
	contracts := func(from, n int) []tickstorm.Topic {
		var list []tickstorm.Topic
		for i := range n {
			list = append(list, tickstorm.Topic{Channel: "Q", Symbol: fmt.Sprintf("O:X%05d", from+i)})
		}
		return list
	}
	for _, tc := range []struct {
		name   string
		market tickstorm.Market
		most   int
		before []tickstorm.Topic
		ask    []tickstorm.Topic
		is     error
	}{
		{"at the default", tickstorm.Options, 0, contracts(0, 600), contracts(600, 400), nil},
		{"beyond the default", tickstorm.Options, 0, contracts(0, 600), contracts(600, 401), tickstorm.ErrSubscriptionLimit},
		{"beyond in one", tickstorm.Options, 0, nil, contracts(0, 1001), tickstorm.ErrSubscriptionLimit},
		{"the same again", tickstorm.Options, 0, contracts(0, 1000), contracts(0, 1000), nil},
		{"own limit", tickstorm.Options, 5, contracts(0, 5), contracts(5, 1), tickstorm.ErrSubscriptionLimit},
		{"no limit", tickstorm.Options, -1, contracts(0, 1000), contracts(1000, 1000), nil},
		{"another channel", tickstorm.Options, 5, contracts(0, 5), []tickstorm.Topic{{Channel: "T", Symbol: "O:X"}}, nil},
		{"another market", tickstorm.Stocks, 5, contracts(0, 5), contracts(5, 5), nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := testConfig()
			cfg.Market = tc.market
			cfg.MaxOptionQuotes = tc.most
			p := readyPeer(t, cfg, nil)
			if tc.before != nil {
				require.NoError(t, p.s.Request(nil, tc.before...))
			}
			p.requests()
			err := p.s.Request(nil, tc.ask...)
			require.ErrorIs(t, err, tc.is)
			if tc.is != nil {
				require.Empty(t, p.requests(), "nothing of it is sent")
			}
		})
	}
}

func TestSessionOptionQuotesGivenBack(t *testing.T) {
	cfg := testConfig()
	cfg.Market = tickstorm.Options
	cfg.MaxOptionQuotes = 2
	p := readyPeer(t, cfg, nil)
	require.NoError(t, p.s.Request(nil, fixture.Topics(t, "Q.O:A,Q.O:B")...))
	require.ErrorIs(t, p.s.Request(nil, fixture.Topics(t, "Q.O:C")...), tickstorm.ErrSubscriptionLimit)
	require.NoError(t, p.s.Withdraw(nil, fixture.Topics(t, "Q.O:A")...))
	require.NoError(t, p.s.Request(nil, fixture.Topics(t, "Q.O:C")...), "by then there is room")
	p.requests()
	require.NoError(t, p.say(fixture.Acks("Q.O:A", "Q.O:B")...))
	require.NoError(t, p.say(fixture.Status("success", "unsubscribed to: Q.O:A")))
	require.Len(t, p.requests(), 2)
}

func TestSessionKeepCase(t *testing.T) {
	for _, tc := range []struct {
		keep bool
		sent string
	}{{false, "T.AAPL,T.AMpB"}, {true, "T.aapl,T.AMpB"}} {
		t.Run(fmt.Sprint(tc.keep), func(t *testing.T) {
			cfg := testConfig()
			cfg.KeepCase = tc.keep
			p := readyPeer(t, cfg, nil)
			require.NoError(t, p.s.Request(nil, fixture.Topics(t, "T.aapl,T.AMpB")...))
			require.Equal(t, []string{tc.sent}, p.subscribed())
		})
	}
}

func TestSessionBadTopics(t *testing.T) {
	p := readyPeer(t, testConfig(), nil)
	require.ErrorIs(t, p.s.Request(nil), tickstorm.ErrNoSymbols)
	require.ErrorIs(t, p.s.Withdraw(nil), tickstorm.ErrNoSymbols)
	for _, bad := range []tickstorm.Topic{{}, {Channel: "T"}, {Symbol: "A"}, {Channel: "T", Symbol: `A","x":"`}, {Channel: "T", Symbol: "A,T.B"}} {
		require.ErrorIs(t, p.s.Request(nil, tickstorm.Topic{Channel: "T", Symbol: "GOOD"}, bad), tickstorm.ErrBadTopic, "%q", bad)
	}
	require.Empty(t, p.requests(), "a request with a bad topic is not sent in part")
	acked, pending := held(p.s)
	require.Empty(t, acked+pending)
}

// TestSessionResultCalls: what a caller does in the moment of a result must not disturb
// the account of the others.
func TestSessionResultCalls(t *testing.T) {
	for _, tc := range []struct {
		name   string
		topics string
		finish func(*peer)
	}{
		{"acknowledged", "T.A", func(p *peer) { require.NoError(p.t, p.say(fixture.Acks("T.A")...)) }},
		{"acknowledged as a whole", "T.A", func(p *peer) { require.NoError(p.t, p.say(fixture.Status("success", ""))) }},
		{"refused", "T.A", func(p *peer) { require.NoError(p.t, p.say(fixture.Status("error", "not authorized"))) }},
		{"refused as a whole", "T.A", func(p *peer) {
			require.NoError(p.t, p.say(fixture.Status("error", notRealTime)))
			p.after(settling)
		}},
		{"unanswered", "T.A", func(p *peer) { p.after(began.Add(ackTimeout).Sub(p.now)) }},
		{"unknown", "ZZ.A", func(p *peer) { p.after(began.Add(ackTimeout).Sub(p.now)) }},
	} {
		t.Run(tc.name+", subscribe", func(t *testing.T) {
			p := readyPeer(t, testConfig(), nil)
			var known, unknown outcome
			require.NoError(t, p.s.Request(func(error) {
				require.NoError(t, p.s.Request(known.done, fixture.Topics(t, "T.B")...))
				require.NoError(t, p.s.Request(unknown.done, fixture.Topics(t, "ZZ.B")...))
			}, fixture.Topics(t, tc.topics)...))
			p.requests()
			tc.finish(p)
			require.ElementsMatch(t, []string{"T.B", "ZZ.B"}, p.subscribed())
			require.NoError(t, p.say(fixture.Acks("T.B", "ZZ.B")...))
			require.Equal(t, outcome{calls: 1}, known)
			require.Equal(t, outcome{calls: 1}, unknown)
		})
		t.Run(tc.name+", close", func(t *testing.T) {
			p := readyPeer(t, testConfig(), nil)
			var other outcome
			require.NoError(t, p.s.Request(func(error) { p.s.Close() }, fixture.Topics(t, tc.topics)...))
			p.after(time.Second)
			require.NoError(t, p.s.Request(other.done, fixture.Topics(t, "T.B")...))
			p.requests()
			tc.finish(p)
			require.ErrorIs(t, other.detail(t), tickstorm.ErrClosed)
			require.Contains(t, p.requests(), "close 1000")
			require.ErrorIs(t, p.answer(), tickstorm.ErrClosed)
		})
	}
}

func TestSubscribeErrorText(t *testing.T) {
	p := readyPeer(t, testConfig(), nil)
	var o outcome
	require.NoError(t, p.s.Request(o.done, fixture.Topics(t, "T.A,T.B,T.C,T.D")...))
	require.NoError(t, p.say(append(fixture.Acks("T.A"), fixture.Status("error", "not authorized"), fixture.Status("error", "not authorized"))...))
	p.after(ackTimeout)
	require.EqualError(t, o.err, "1 of 4 topics acknowledged, 3 pending (T.B …): server says error: not authorized (and 1 more)")

	p.s.Close()
	e := &tickstorm.SubscribeError{Refused: fixture.Topics(t, "T.A"), Err: tickstorm.ErrClosed}
	require.EqualError(t, e, "0 of 1 topics acknowledged, 1 refused (T.A): closed")
}

// TestSessionLateUnsubscribe: the answer to a request that was given up does not undo what
// was asked for since then.
func TestSessionLateUnsubscribe(t *testing.T) {
	gone := fixture.Status("success", "unsubscribed to: T.A")
	for _, tc := range []struct {
		name string
		late [][]string // messages, each after the time of a request
		want [2]string  // acked, pending
	}{
		{"both late", [][]string{{gone}, fixture.Acks("T.A")}, [2]string{"T.A", ""}},
		{"together", [][]string{{gone, fixture.Acks("T.A")[0]}}, [2]string{"T.A", ""}},
		{"the first alone", [][]string{{gone}}, [2]string{"", "T.A"}},
		{"the second alone", [][]string{fixture.Acks("T.A")}, [2]string{"T.A", ""}},
		{"none", nil, [2]string{"", "T.A"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := readyPeer(t, testConfig(), nil)
			require.NoError(t, p.s.Request(nil, fixture.Topics(t, "T.A")...))
			require.NoError(t, p.say(fixture.Acks("T.A")...))
			require.NoError(t, p.s.Withdraw(nil, fixture.Topics(t, "T.A")...))
			p.after(ackTimeout)
			p.requests()
			require.NoError(t, p.s.Request(nil, fixture.Topics(t, "T.A")...))
			require.Equal(t, []string{"T.A"}, p.subscribed(), "the server may have ended it")
			for _, m := range tc.late {
				p.after(ackTimeout)
				require.NoError(t, p.say(m...))
			}
			acked, pending := held(p.s)
			require.Equal(t, tc.want, [2]string{acked, pending})
		})
	}
}

// TestSessionLateSubscribe: nor the other way round.
func TestSessionLateSubscribe(t *testing.T) {
	p := readyPeer(t, testConfig(), nil)
	require.NoError(t, p.s.Request(nil, fixture.Topics(t, "T.A")...))
	p.after(ackTimeout)
	require.NoError(t, p.s.Withdraw(nil, fixture.Topics(t, "T.A")...))
	p.after(ackTimeout)
	require.NoError(t, p.say(fixture.Acks("T.A")...))
	require.NoError(t, p.say(fixture.Status("success", "unsubscribed to: T.A")))
	acked, pending := held(p.s)
	require.Empty(t, acked+pending)
}

// TestSessionUnsubscribeRefused: what cannot be ended stays.
func TestSessionUnsubscribeRefused(t *testing.T) {
	p := readyPeer(t, testConfig(), nil)
	require.NoError(t, p.s.Request(nil, fixture.Topics(t, "T.A")...))
	require.NoError(t, p.say(fixture.Acks("T.A")...))
	var o outcome
	require.NoError(t, p.s.Withdraw(o.done, fixture.Topics(t, "T.A")...))
	require.NoError(t, p.say(fixture.Status("error", "not authorized")))
	require.Equal(t, "T.A", fixture.Listed(o.detail(t).Refused))
	p.requests()
	require.NoError(t, p.s.Request(nil, fixture.Topics(t, "T.A")...))
	require.Empty(t, p.requests(), "it is still held")
}

// TestSessionUnnamedRefusals: where not all is answered, refusals are counted.
func TestSessionUnnamedRefusals(t *testing.T) {
	p := readyPeer(t, testConfig(), nil)
	var o outcome
	require.NoError(t, p.s.Request(o.done, fixture.Topics(t, "T.A,Q.A,Q.B,A.A")...))
	require.NoError(t, p.say(fixture.Status("error", "not authorized"), fixture.Status("error", "not authorized"), fixture.Acks("T.A")[0]))
	p.after(ackTimeout)
	e := o.detail(t)
	require.Equal(t, "A.A,Q.A,Q.B", fixture.Listed(e.Pending))
	require.Equal(t, 2, e.Unnamed)
	require.Empty(t, e.Refused)
}

// TestSessionRefusedWrongly: a refusal was put down to a topic that it did not mean; the
// acknowledgement behind it says that the topic is held, and it can be given up.
func TestSessionRefusedWrongly(t *testing.T) {
	p := readyPeer(t, testConfig(), nil)
	var o outcome
	require.NoError(t, p.s.Request(o.done, fixture.Topics(t, "T.A,Q.A")...))
	require.NoError(t, p.say(fixture.Status("error", "not authorized"), fixture.Acks("T.A")[0]))
	require.Equal(t, "Q.A", fixture.Listed(o.detail(t).Refused))
	require.EqualValues(t, 1, p.s.Stats().RefusedTopics)
	require.NoError(t, p.say(fixture.Acks("Q.A")...))
	acked, _ := held(p.s)
	require.Equal(t, "Q.A,T.A", acked)
	require.Zero(t, p.s.Stats().RefusedTopics)
	p.requests()
	require.NoError(t, p.s.Withdraw(nil, fixture.Topics(t, "Q.A")...))
	require.Len(t, p.requests(), 1)
	require.NoError(t, p.say(fixture.Acks("T.NEVER")...))
	acked, _ = held(p.s)
	require.NotContains(t, acked, "T.NEVER", "what nobody asked for is not held")
}

// TestSessionAsksAgainForWhatOverlapped: whether a symbol survives the end of All, or All that of
// a symbol, the vendor does not say.
func TestSessionAsksAgainForWhatOverlapped(t *testing.T) {
	for _, tc := range []struct {
		name, held, ended, again string
		silent                   bool // the end is not acknowledged
	}{
		{name: "symbols beside all", held: "T.*,T.A,T.B,Q.A", ended: "T.*", again: "T.A,T.B"},
		{name: "all beside a symbol", held: "T.A,T.*,Q.*", ended: "T.A", again: "T.*"},
		{name: "without an answer", held: "T.*,T.A", ended: "T.*", again: "T.A", silent: true},
		{name: "nothing is left", held: "T.*,T.A", ended: "T.*,T.A"},
		{name: "nothing overlapped", held: "T.A,T.B,Q.*", ended: "T.A"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := readyPeer(t, testConfig(), nil)
			require.NoError(t, p.s.Request(nil, fixture.Topics(t, tc.held)...))
			p.requests()
			require.NoError(t, p.say(fixture.Acks(strings.Split(tc.held, ",")...)...))
			require.NoError(t, p.s.Withdraw(nil, fixture.Topics(t, tc.ended)...))
			require.Equal(t, []string{`{"action":"unsubscribe","params":"` + tc.ended + `"}`}, p.requests())
			if tc.silent {
				p.after(ackTimeout)
			} else {
				for topic := range strings.SplitSeq(tc.ended, ",") {
					require.NoError(t, p.say(fixture.Status("success", "unsubscribed to: "+topic)))
				}
			}
			if tc.again == "" {
				require.Empty(t, p.requests())
				return
			}
			require.Equal(t, []string{`{"action":"subscribe","params":"` + tc.again + `"}`}, p.requests())
			require.NoError(t, p.s.Request(nil, fixture.Topics(t, "AM.A")...))
			require.Equal(t, []string{`{"action":"subscribe","params":"AM.A"}`}, p.requests(), "nobody waits for an answer")
			require.NoError(t, p.say(fixture.Acks("AM.A")...))
			p.after(ackTimeout)
			require.Empty(t, p.requests())
			after, pending := held(p.s)
			require.Contains(t, after, tc.again, "silence takes nothing")
			require.NotContains(t, pending, tc.again)
		})
	}
}

// TestSessionAnswersBesideWhatIsAskedForAgain: an answer is that of the request that waits for it.
func TestSessionAnswersBesideWhatIsAskedForAgain(t *testing.T) {
	p := readyPeer(t, testConfig(), nil)
	require.NoError(t, p.s.Request(nil, fixture.Topics(t, "T.*,T.A")...))
	require.NoError(t, p.say(fixture.Acks("T.*", "T.A")...))
	require.NoError(t, p.s.Withdraw(nil, fixture.Topics(t, "T.*")...))
	require.NoError(t, p.say(fixture.Status("success", "unsubscribed to: T.*")))
	require.NoError(t, p.s.Withdraw(nil, fixture.Topics(t, "T.A")...))
	require.NoError(t, p.say(fixture.Status("success", "unsubscribed to: T.A")))
	results := []error{errors.New("none yet")}
	require.NoError(t, p.s.Request(func(err error) { results = append(results, err) }, fixture.Topics(t, "T.A")...))
	require.NoError(t, p.say(fixture.Acks("T.A")...))
	require.Equal(t, []error{nil}, results[1:])
	require.Len(t, p.requests(), 5, "both, the end of All, the symbol again, its end, and it anew")
}
