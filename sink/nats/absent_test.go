package nats_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sink"
	"github.com/tickstorm/tickstorm/sink/internal/sinktest"
	sinknats "github.com/tickstorm/tickstorm/sink/nats"
)

// serve runs a server as it is told, and connects.
func serve(t *testing.T, o server.Options, options ...nats.Option) *nats.Conn {
	return connect(t, up(t, o), options...)
}

// up runs a server as it is told.
func up(t *testing.T, o server.Options) *server.Server {
	o.Host, o.Port, o.StoreDir, o.NoLog, o.NoSigs = "127.0.0.1", server.RANDOM_PORT, t.TempDir(), true, true
	s, err := server.NewServer(&o)
	require.NoError(t, err)
	go s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	require.True(t, s.ReadyForConnections(sinktest.Patience))
	return s
}

func connect(t *testing.T, s *server.Server, options ...nats.Option) *nats.Conn {
	nc, err := nats.Connect(s.ClientURL(), options...)
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	return nc
}

// TestNoJetStream: where JetStream will never be, for want of it or of rights, a sink and a consumer end
// and say so, instead of trying for ever.
func TestNoJetStream(t *testing.T) {
	t.Parallel()
	account := server.NewAccount("ticks")
	for name, c := range map[string]struct {
		serve   func(t *testing.T) *nats.Conn
		is      error
		reached bool // whether the server may not even be asked
	}{
		"none": {func(t *testing.T) *nats.Conn { return serve(t, server.Options{}) }, jetstream.ErrJetStreamNotEnabled, false},
		"none for the account": {func(t *testing.T) *nats.Conn {
			return serve(t, server.Options{
				JetStream: true, Accounts: []*server.Account{account}, Users: []*server.User{{Username: "u", Password: "p", Account: account}},
			}, nats.UserInfo("u", "p"))
		}, jetstream.ErrJetStreamNotEnabledForAccount, false},
		"no rights": {func(t *testing.T) *nats.Conn {
			return serve(t, server.Options{JetStream: true, Users: []*server.User{{Username: "u", Password: "p", Permissions: &server.Permissions{
				Publish: &server.SubjectPermission{Deny: []string{"$JS.API.>"}},
			}}}}, nats.UserInfo("u", "p"))
		}, nats.ErrPermissionViolation, true},
		"no rights to answers": {func(t *testing.T) *nats.Conn {
			return serve(t, server.Options{JetStream: true, Users: []*server.User{{Username: "u", Password: "p", Permissions: &server.Permissions{
				Subscribe: &server.SubjectPermission{Deny: []string{"mine.>"}},
			}}}}, nats.UserInfo("u", "p"), nats.CustomInboxPrefix("mine"))
		}, nats.ErrPermissionViolation, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nc := c.serve(t)
			if c.reached {
				soon, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
				require.ErrorIs(t, sinknats.Reach(soon, nc), context.DeadlineExceeded)
				cancel()
			} else {
				err := sinknats.Reach(t.Context(), nc)
				require.ErrorIs(t, err, c.is)
				require.False(t, sink.Retryable(err))
			}

			dir, _ := sinktest.Recorded(t, false, 1)
			engine, err := sinknats.NewEngine(nc, sinknats.Config{Patience: 100 * time.Millisecond})
			require.NoError(t, err)
			r, err := sink.NewRunner(engine, sink.NewFolder(sink.FolderConfig{Paths: []string{dir}}), sink.Config{})
			require.NoError(t, err)
			err = r.Run(t.Context())
			require.ErrorIs(t, err, c.is)
			require.False(t, sink.Retryable(err))
			require.NoError(t, engine.Close())

			consumer, err := sinknats.NewConsumer(nc, sinknats.ConsumerConfig{Market: tickstorm.Stocks, Handler: tickstorm.NopHandler{}, Lease: 200 * time.Millisecond})
			require.NoError(t, err)
			err = consumer.Run(t.Context())
			require.ErrorIs(t, err, c.is)
			require.False(t, sink.Retryable(err))
		})
	}
}

// seekers look for JetStream until ctx ends: a sink of a recording, and a consumer.
var seekers = map[string]func(ctx context.Context, nc *nats.Conn, dir string, patience time.Duration) error{
	"sink": func(ctx context.Context, nc *nats.Conn, dir string, patience time.Duration) error {
		engine, err := sinknats.NewEngine(nc, sinknats.Config{Patience: patience, Limits: sinknats.Limits{MaxBytes: 256 << 20}})
		if err != nil {
			return err
		}
		folder := sink.NewFolder(sink.FolderConfig{Paths: []string{dir}, Follow: 5 * time.Millisecond})
		r, err := sink.NewRunner(engine, folder, sink.Config{Linger: 5 * time.Millisecond, MinWait: 5 * time.Millisecond, MaxWait: 10 * time.Millisecond})
		if err != nil {
			return err
		}
		return r.Run(ctx)
	},
	"consumer": func(ctx context.Context, nc *nats.Conn, _ string, patience time.Duration) error {
		consumer, err := sinknats.NewConsumer(nc, sinknats.ConsumerConfig{Market: tickstorm.Stocks, Handler: tickstorm.NopHandler{}, Lease: patience})
		if err != nil {
			return err
		}
		return consumer.Run(ctx)
	},
}

// seek has one of them look. end ends it, and requires that nothing else has.
func seek(t *testing.T, who string, nc *nats.Conn, dir string, patience time.Duration) (over chan error, end func()) {
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	over = make(chan error, 1)
	go func() { over <- seekers[who](ctx, nc, dir, patience) }()
	return over, func() {
		cancel()
		require.ErrorIs(t, <-over, context.Canceled)
	}
}

// outlast waits until one has looked for much longer than its patience, or has ended.
func outlast(t *testing.T, nc *nats.Conn, over chan error, patience time.Duration) {
	began, asked := time.Now(), nc.Stats().OutMsgs
	require.Eventually(t, func() bool {
		return len(over) > 0 || time.Since(began) > 5*patience && nc.Stats().OutMsgs > asked+4
	}, sinktest.Patience, time.Millisecond)
}

// TestRefusedElsewhere: a server that is silent is waited for, whatever else was refused to the caller, whose
// connection it is.
func TestRefusedElsewhere(t *testing.T) {
	t.Parallel()
	for name, subject := range map[string]string{"another subject": "elsewhere", "a question before": "$JS.API.STREAM.DELETE.theirs"} {
		for who := range seekers {
			t.Run(who+", "+name, func(t *testing.T) {
				t.Parallel()
				const patience = 100 * time.Millisecond
				nc := serve(t, server.Options{Users: []*server.User{{Username: "u", Password: "p", Permissions: &server.Permissions{
					Publish: &server.SubjectPermission{Deny: []string{subject}},
				}}}}, nats.UserInfo("u", "p"))
				_, err := nc.Subscribe("$JS.API.>", func(*nats.Msg) {}) // as nodes do that elect
				require.NoError(t, err)
				require.NoError(t, nc.Publish(subject, nil))
				require.NoError(t, nc.Flush())
				require.ErrorIs(t, nc.LastError(), nats.ErrPermissionViolation)
				dir, _ := sinktest.Recorded(t, false, 1)
				over, end := seek(t, who, nc, dir, patience)
				outlast(t, nc, over, patience)
				end()
			})
		}
	}
}

// found waits until a stream has messages, or who makes it has ended.
func found(t *testing.T, nc *nats.Conn, over chan error, stream string, messages uint64) {
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		s, err := js.Stream(t.Context(), stream)
		return len(over) > 0 || err == nil && s.CachedInfo().State.Msgs >= messages
	}, sinktest.Patience, 5*time.Millisecond)
}

// TestAccountWithout: an account whose server says that it has no JetStream is waited for as one is for which
// nobody answers: as long as patience at the beginning, and for ever if it had it, as where a server goes down.
func TestAccountWithout(t *testing.T) {
	t.Parallel()
	start := func(t *testing.T) (*server.Account, *nats.Conn) {
		account := server.NewAccount("ticks")
		s := up(t, server.Options{
			JetStream: true, Accounts: []*server.Account{account}, Users: []*server.User{{Username: "u", Password: "p", Account: account}},
		})
		account, err := s.LookupAccount("ticks") // which is the server's own
		require.NoError(t, err)
		return account, connect(t, s, nats.UserInfo("u", "p"))
	}
	for who, stream := range map[string]string{"sink": "md_stocks", "consumer": "md-group_tickstorm"} {
		t.Run(who+", at the beginning", func(t *testing.T) {
			t.Parallel()
			account, nc := start(t)
			dir, _ := sinktest.Recorded(t, false, 1)
			over, end := seek(t, who, nc, dir, 5*time.Second)
			require.Eventually(t, func() bool { return nc.Stats().InMsgs > 0 }, sinktest.Patience, time.Millisecond)
			require.NoError(t, account.EnableJetStream(nil, nil))
			found(t, nc, over, stream, 1)
			end()
		})
	}
	t.Run("sink, later", func(t *testing.T) {
		t.Parallel()
		const patience = 100 * time.Millisecond
		account, nc := start(t)
		require.NoError(t, account.EnableJetStream(nil, nil))
		dir := t.TempDir()
		tape := sinktest.NewTape(t, dir, false)
		tape.Say(10)
		over, end := seek(t, "sink", nc, dir, patience)
		found(t, nc, over, "md_stocks", 30)
		require.NoError(t, account.DisableJetStream())
		tape.Say(10)
		outlast(t, nc, over, patience)
		require.NoError(t, account.EnableJetStream(nil, nil))
		found(t, nc, over, "md_stocks", 60)
		end()
	})
}

// TestConnectionClosed: a consumer whose connection is closed for good has ended.
func TestConnectionClosed(t *testing.T) {
	t.Parallel()
	nc := serve(t, server.Options{JetStream: true})
	require.NoError(t, sinknats.Reach(t.Context(), nc))
	b := sinktest.NewBooks()
	consumer, err := sinknats.NewConsumer(nc, sinknats.ConsumerConfig{Market: tickstorm.Stocks, Handler: sinktest.Ear{Books: b}, Lease: 200 * time.Millisecond})
	require.NoError(t, err)
	over := make(chan error, 1)
	go func() { over <- consumer.Run(t.Context()) }()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		_, err := js.Stream(t.Context(), "md-group_tickstorm")
		return err == nil
	}, sinktest.Patience, 5*time.Millisecond)
	nc.Close()
	require.ErrorIs(t, <-over, nats.ErrConnectionClosed)
}
