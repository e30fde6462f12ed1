// Command netglance tells, for every port of a host, who owns it, who can reach
// it and by which rule, and whether that is meant.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
)

// A run ends within a second, most before there are 16 MiB of garbage: only then
// is it collected (GOGC=400 of the least heap, 4 MiB), and from then on as usual.
const firstGCPercent, gcPercent = 400, 100

// collectLater sets that; who sets GOGC has it his way.
func collectLater() {
	if os.Getenv("GOGC") != "" {
		return
	}
	debug.SetGCPercent(firstGCPercent)
	runtime.AddCleanup(new([16]byte), func(percent int) { debug.SetGCPercent(percent) }, gcPercent)
}

func main() {
	collectLater()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	// a second Ctrl-C ends the program at once, though the first one lets it say what it has
	context.AfterFunc(ctx, stop)
	code := run(ctx, os.Args[1:], system())
	stop()
	os.Exit(code)
}
