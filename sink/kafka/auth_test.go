package kafka_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tickstorm/tickstorm/internal/selfsigned"
	"github.com/tickstorm/tickstorm/sink"
	"github.com/tickstorm/tickstorm/sink/internal/sinktest"
	sinkkafka "github.com/tickstorm/tickstorm/sink/kafka"
)

// TestAuth: who says who one is gets in, over TLS too; who is refused is told so at once, and the
// password stands nowhere.
func TestAuth(t *testing.T) {
	t.Parallel()
	const password = "pass-1234-word"
	certificate, err := selfsigned.Certificate("kafka", time.Hour, "127.0.0.1")
	require.NoError(t, err)
	server := &tls.Config{Certificates: []tls.Certificate{certificate}}
	client := &tls.Config{RootCAs: selfsigned.Trust(certificate.Leaf)}
	dir, said := sinktest.Recorded(t, false, 10)
	for _, mechanism := range sinkkafka.Mechanisms() {
		for _, encrypted := range []bool{false, true} {
			t.Run(fmt.Sprint(mechanism, encrypted), func(t *testing.T) {
				options := []kfake.Opt{kfake.EnableSASL(), kfake.Superuser(mechanism, "ticks", password)}
				if encrypted {
					options = append(options, kfake.TLS(server))
				}
				c := start(t, options...)
				at := c.at()
				at.Auth = sinkkafka.Auth{Mechanism: mechanism, User: "ticks", Password: password}
				if encrypted {
					at.TLS = client
				}
				require.NoError(t, at.Ping(t.Context()))
				_, err := run(t, c.newEngine(t, sinkkafka.Config{Cluster: at}), dir, sink.Config{})
				require.NoError(t, err)
				b := sinktest.NewBooks()
				r := c.goConsumer(t, sinkkafka.ConsumerConfig{Cluster: at, Handler: sinktest.Ear{Books: b}})
				b.Whole(t, said, 0, 1)
				r.Halt(t)

				at.Auth.Password += "x"
				c.ControlKey(int16(kmsg.SASLAuthenticate), func(r kmsg.Request) (kmsg.Response, error, bool) { // kfake alone hangs up
					c.KeepControl()
					resp := r.ResponseKind().(*kmsg.SASLAuthenticateResponse)
					resp.ErrorCode = kerr.SaslAuthenticationFailed.Code
					return resp, nil, true
				})
				var log journal
				logger := slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
				logger.Info("cluster", "auth", at.Auth, "all", fmt.Sprintf("%+v", at))
				e := c.newEngine(t, sinkkafka.Config{Cluster: at, Logger: logger, Patience: time.Minute})
				err = at.Ping(t.Context())
				require.True(t, sinkkafka.Refused(err), err)
				_, err = run(t, e, dir, sink.Config{})
				require.True(t, sinkkafka.Refused(err), err)
				require.False(t, sink.Retryable(err))
				require.NotContains(t, err.Error(), password)
				err = c.consumer(t, sinkkafka.ConsumerConfig{Cluster: at, Handler: sinktest.Ear{Books: b}, Logger: logger}).Run(t.Context())
				require.True(t, sinkkafka.Refused(err), err)
				require.NotContains(t, err.Error(), password)
				require.NotContains(t, log.String(), password)
				text, err := json.Marshal(at.Auth)
				require.NoError(t, err)
				require.NotContains(t, string(text), password)
			})
		}
	}
}

// journal is what was logged, by clients that may still be at it when they are closed.
type journal struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.all.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.all.String()
}

// TestForbidden: who may not write, or may not read for a group, is told so.
func TestForbidden(t *testing.T) {
	t.Parallel()
	const method, password = "SCRAM-SHA-256", "pass-1234-word"
	c := start(t, kfake.EnableSASL(), kfake.EnableACLs(), kfake.Superuser(method, "root", password), kfake.User(method, "ticks", password,
		kfake.ACL{Resource: kmsg.ACLResourceTypeTopic, Name: "*", Pattern: kmsg.ACLResourcePatternTypeLiteral, Operation: kmsg.ACLOperationRead, Allow: true}))
	require.NoError(t, c.CreateTopic("md.stocks.T", 8, nil))
	at := c.at()
	at.Auth = sinkkafka.Auth{Mechanism: method, User: "ticks", Password: password}
	dir, _ := sinktest.Recorded(t, false, 10)
	_, err := run(t, c.newEngine(t, sinkkafka.Config{Cluster: at}), dir, sink.Config{})
	require.True(t, sinkkafka.Refused(err), err)
	ctx, cancel := context.WithTimeout(t.Context(), sinktest.Patience)
	defer cancel()
	err = c.consumer(t, sinkkafka.ConsumerConfig{Cluster: at, Handler: sinktest.Ear{Books: sinktest.NewBooks()}}).Run(ctx)
	require.True(t, sinkkafka.Refused(err), err)
}

// TestClear: a broker that is elsewhere is not told a password that others on the way can read, though
// whoever named it is on this machine.
func TestClear(t *testing.T) {
	t.Parallel()
	c := start(t, kfake.EnableSASL(), kfake.Superuser("PLAIN", "ticks", "pass-1234-word"))
	c.ControlKey(int16(kmsg.Metadata), func(r kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		resp := r.ResponseKind().(*kmsg.MetadataResponse)
		broker := kmsg.NewMetadataResponseBroker()
		broker.NodeID, broker.Host, broker.Port = 7, "kafka.example.com", 9092
		for _, t := range r.(*kmsg.MetadataRequest).Topics { // which whoever leads the cluster would make
			topic := kmsg.NewMetadataResponseTopic()
			topic.Topic, topic.ErrorCode = t.Topic, kerr.UnknownTopicOrPartition.Code
			resp.Topics = append(resp.Topics, topic)
		}
		resp.Brokers, resp.ControllerID = []kmsg.MetadataResponseBroker{broker}, 7
		return resp, nil, true
	})
	var told atomic.Bool // the password
	at := c.at()
	at.Auth = sinkkafka.Auth{Mechanism: "PLAIN", User: "ticks", Password: "pass-1234-word"}
	at.Options = append(at.Options, kgo.Dialer(func(ctx context.Context, network, host string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, strings.Replace(host, "kafka.example.com:9092", c.ListenAddrs()[0], 1))
		if err != nil || !strings.HasPrefix(host, "kafka.example.com") {
			return conn, err
		}
		return listening{conn, &told}, nil
	}))
	dir, _ := sinktest.Recorded(t, false, 10)
	_, err := run(t, c.newEngine(t, sinkkafka.Config{Cluster: at}), dir, sink.Config{MaxTries: 2, MinWait: time.Millisecond})
	require.True(t, sinkkafka.Refused(err), err)
	require.ErrorContains(t, err, "kafka.example.com")
	require.False(t, told.Load())
}

// listening is a connection that others listen to.
type listening struct {
	net.Conn
	told *atomic.Bool
}

func (l listening) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte("pass-1234-word")) {
		l.told.Store(true)
	}
	return l.Conn.Write(b)
}
