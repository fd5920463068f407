package nats_test

import (
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// This file is what tests do to streams.

func stream(t testing.TB, nc *nats.Conn, name string) jetstream.Stream {
	t.Helper()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	s, err := js.Stream(t.Context(), name)
	require.NoError(t, err)
	return s
}

func streamMessages(t *testing.T, nc *nats.Conn, name string) uint64 {
	t.Helper()
	return stream(t, nc, name).CachedInfo().State.Msgs
}

func removeLast(t *testing.T, nc *nats.Conn, name string) {
	t.Helper()
	s := stream(t, nc, name)
	require.NoError(t, s.DeleteMsg(t.Context(), s.CachedInfo().State.LastSeq))
}
