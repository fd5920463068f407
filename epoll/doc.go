// Package epoll drives connections without goroutines of their own, on Linux. [Detach]
// hands the descriptor of one, TLS included, to an event loop of the program's own; a
// [Poller] is such a loop ready-made, for many connections on one thread, and has
// connections that last, each a [Client].
//
// It uses what package tickstorm exports, and nothing else of it: whoever wants another
// loop, io_uring for example, can write it the same way, around [tickstorm.Session] and
// [tickstorm.Lasting]. On other systems it returns [errors.ErrUnsupported].
package epoll
