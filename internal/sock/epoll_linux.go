package sock

import (
	"fmt"
	"math"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// Epoll is an epoll instance with an eventfd in it. Its entries have a slot and a
// generation, numbers of the caller's by which it tells them apart. Wake may be called from
// any goroutine as long as nobody closes it.
type Epoll struct {
	fd, eventfd int
	events      [128]syscall.EpollEvent
}

const (
	readInterest  = syscall.EPOLLIN | syscall.EPOLLRDHUP
	writeInterest = readInterest | syscall.EPOLLOUT
	WakeSlot      = -1 // the slot of Wake
)

// NewEpoll returns an epoll without entries.
func NewEpoll() (*Epoll, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	eventfd, _, errno := syscall.Syscall(syscall.SYS_EVENTFD2, 0, syscall.O_CLOEXEC|syscall.O_NONBLOCK, 0)
	if errno != 0 {
		_ = syscall.Close(fd)
		return nil, fmt.Errorf("eventfd2: %w", errno)
	}
	e := &Epoll{fd: fd, eventfd: int(eventfd)}
	ev := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: WakeSlot}
	if err := syscall.EpollCtl(fd, syscall.EPOLL_CTL_ADD, e.eventfd, &ev); err != nil {
		e.Close()
		return nil, fmt.Errorf("epoll_ctl: %w", err)
	}
	return e, nil
}

// FD returns the epoll's own descriptor, -1 after Close.
func (e *Epoll) FD() int { return e.fd }

// epollParams is the kernel's struct epoll_params.
type epollParams struct {
	usecs  uint32
	budget uint16
	_      [2]uint8 // prefer_busy_poll, and what fills it up
}

// BusyPoll has waits poll the network card for so long, and take so many packets a poll
// (EPIOCSPARAMS, since Linux 6.9).
func (e *Epoll) BusyPoll(d time.Duration, budget int) error {
	request := uintptr(0x40088a01) // EPIOCSPARAMS
	if strings.HasPrefix(runtime.GOARCH, "mips") || strings.HasPrefix(runtime.GOARCH, "ppc") {
		request = 0x80088a01 // where the bits that mean writing are others
	}
	usecs := ceil(d, time.Microsecond)
	if usecs > math.MaxUint32 || budget > math.MaxUint16 {
		return syscall.EINVAL
	}
	params := &epollParams{usecs: uint32(usecs), budget: uint16(budget)}
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(e.fd), request, address(params))
	runtime.KeepAlive(params)
	if errno != 0 {
		return errno
	}
	return nil
}

// Add adds a descriptor, for reading.
func (e *Epoll) Add(fd int, slot, generation int32) error {
	ev := syscall.EpollEvent{Events: readInterest, Fd: slot, Pad: generation}
	return syscall.EpollCtl(e.fd, syscall.EPOLL_CTL_ADD, fd, &ev)
}

// Modify changes whether a descriptor is waited for to be writable as well.
func (e *Epoll) Modify(fd int, slot, generation int32, write bool) error {
	ev := syscall.EpollEvent{Events: readInterest, Fd: slot, Pad: generation}
	if write {
		ev.Events = writeInterest
	}
	return syscall.EpollCtl(e.fd, syscall.EPOLL_CTL_MOD, fd, &ev)
}

// Remove takes a descriptor out.
func (e *Epoll) Remove(fd int) { _ = syscall.EpollCtl(e.fd, syscall.EPOLL_CTL_DEL, fd, nil) }

// Wait waits for events, a negative timeout meaning without limit. A signal, such as the
// scheduler's own, ends it with none.
func (e *Epoll) Wait(timeout time.Duration) (int, error) {
	ms := -1
	if timeout >= 0 {
		ms = int(min(ceil(timeout, time.Millisecond), math.MaxInt32))
	}
	n, err := syscall.EpollWait(e.fd, e.events[:], ms)
	return counted(n, err)
}

// Look is Wait without waiting. The scheduler is not told of the system call, which is
// shorter than telling it.
func (e *Epoll) Look() (int, error) {
	n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(e.fd), address(&e.events[0]), uintptr(len(e.events)), 0, 0, 0)
	runtime.KeepAlive(e)
	if errno != 0 {
		return counted(0, errno)
	}
	return int(n), nil
}

func counted(n int, err error) (int, error) {
	switch err {
	case nil:
		return n, nil
	case syscall.EINTR:
		return 0, nil
	}
	return 0, fmt.Errorf("epoll_wait: %w", err)
}

// Event takes the event i apart. Whatever it says of reading and of errors is found out
// by reading.
func (e *Epoll) Event(i int) (slot, generation int32, writable bool) {
	ev := &e.events[i]
	return ev.Fd, ev.Pad, ev.Events&syscall.EPOLLOUT != 0
}

// Wake ends a wait, or the next one.
func (e *Epoll) Wake() {
	one := [8]byte{7: 1} // any number will do, so the order of bytes does not matter
	_, _ = syscall.Write(e.eventfd, one[:])
}

// Woken takes the wake back.
func (e *Epoll) Woken() {
	var n [8]byte
	_, _ = syscall.Read(e.eventfd, n[:])
}

// Close closes it.
func (e *Epoll) Close() {
	_ = syscall.Close(e.eventfd)
	_ = syscall.Close(e.fd)
	e.fd, e.eventfd = -1, -1
}

// cpuSet is the kernel's cpu_set_t.
type cpuSet [1024 / 8]byte

// SetAffinity binds the thread to processors, and returns what undoes it.
func SetAffinity(cpus []int) (restore func(), err error) {
	old, set := new(cpuSet), new(cpuSet)
	for _, cpu := range cpus {
		if cpu < 0 || cpu >= 8*len(set) {
			return nil, fmt.Errorf("processor %d: %w", cpu, syscall.EINVAL)
		}
		set[bitByte(cpu)] |= 1 << (cpu % 8)
	}
	if err := affinity(syscall.SYS_SCHED_GETAFFINITY, old); err != nil {
		return nil, err
	}
	if err := affinity(syscall.SYS_SCHED_SETAFFINITY, set); err != nil {
		return nil, err
	}
	return func() { _ = affinity(syscall.SYS_SCHED_SETAFFINITY, old) }, nil // was right before
}

func affinity(call uintptr, set *cpuSet) error {
	_, _, errno := syscall.RawSyscall(call, 0, uintptr(len(set)), address(set))
	runtime.KeepAlive(set)
	if errno != 0 {
		return errno
	}
	return nil
}

// bitByte returns which byte of a cpuSet, an array of longs, has a processor's bit.
func bitByte(cpu int) int {
	i := cpu / 8
	if bigEndian {
		i ^= wordSize - 1
	}
	return i
}

var bigEndian = runtime.GOARCH == "s390x" || runtime.GOARCH == "ppc64" || runtime.GOARCH == "mips" || runtime.GOARCH == "mips64"
