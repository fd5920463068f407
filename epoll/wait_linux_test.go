package epoll_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm/epoll"
)

// patience is how long a test waits for what comes at once unless something is broken.
const patience = time.Minute

// wallClock is the time that goes by also inside a bubble of testing/synctest, while a test
// waits in the kernel. A test of connections and their deadlines has its server outside of
// the bubble: then sockets work as ever, and time stands still unless the test sleeps.
func wallClock() time.Time {
	var tv syscall.Timeval
	_ = syscall.Gettimeofday(&tv) // fails for bad pointers only
	return time.Unix(tv.Unix())
}

// patient fails the test when it has been asked for longer than patience.
func patient(t testing.TB) func() {
	limit := wallClock().Add(patience)
	return func() {
		t.Helper()
		require.True(t, wallClock().Before(limit), "waited too long")
	}
}

// arrived waits until so many bytes can be read of a connection, which nobody reads
// meanwhile. A server's write may have returned long before.
func arrived(t testing.TB, d *epoll.Detached, bytes int) {
	t.Helper()
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	require.NoError(t, err)
	defer syscall.Close(fd)
	const edgeTriggered = 1 << 31 // syscall.EPOLLET is negative: each arrival is told
	ev := syscall.EpollEvent{Events: syscall.EPOLLIN | edgeTriggered}
	require.NoError(t, syscall.EpollCtl(fd, syscall.EPOLL_CTL_ADD, d.Fd(), &ev))
	for waits := patient(t); ; waits() {
		n, err := d.Backlog()
		require.NoError(t, err)
		if n >= bytes {
			return
		}
		var events [1]syscall.EpollEvent
		_, _ = syscall.EpollWait(fd, events[:], 1000) // an interrupted wait is a wait
	}
}
