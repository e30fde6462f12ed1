package platform

import (
	"fmt"
	"slices"
	"strings"
)

// callOutput is the kind of a recorded Output.
const callOutput = 'C'

// readCommands are the only commands that are run: each shows, and changes
// nothing. ANCHOR and TABLE stand for a name.
var readCommands = parseCommands(`
id -u
ifconfig -a
ifconfig -A
netstat -rn
netstat -rnW
netstat -rnl
netstat -anvl
ps -axww -o pid= -o uid= -o user= -o lstart= -o ucomm=
ps -axww -o pid= -o comm=
ps -axww -o pid= -o command=
lsof -nP -iTCP -sTCP:LISTEN -iUDP -F pcuLftPnT
sockstat -46lw
sockstat -46l
fstat -n
pfctl -s info
pfctl -v -s Interfaces
pfctl -v -s Anchors
pfctl -s rules
pfctl -P -s rules
pfctl -s nat
pfctl -P -s nat
pfctl -s ether
pfctl -s Tables
pfctl -t TABLE -T show
pfctl -a ANCHOR -s rules
pfctl -a ANCHOR -P -s rules
pfctl -a ANCHOR -s nat
pfctl -a ANCHOR -P -s nat
pfctl -a ANCHOR -s ether
pfctl -a ANCHOR -s Tables
pfctl -a ANCHOR -t TABLE -T show
socketfilterfw --getglobalstate
socketfilterfw --getblockall
socketfilterfw --getstealthmode
socketfilterfw --getallowsigned
socketfilterfw --listapps
`)

func parseCommands(text string) (all [][]string) {
	for line := range strings.Lines(strings.TrimSpace(text)) {
		all = append(all, strings.Fields(line))
	}
	return all
}

// maxName is how long the name of an anchor (MAXPATHLEN, 1024) or table may be.
const maxName = 1024

// readCommand refuses what is not on the list.
func readCommand(command []string) error {
	listed := slices.ContainsFunc(readCommands, func(allowed []string) bool {
		return slices.EqualFunc(allowed, command, sameWord)
	})
	if !listed {
		return fmt.Errorf("the command %q: %w", command, ErrNotRead)
	}
	return nil
}

// sameWord: a name may not be taken for an option.
func sameWord(allowed, word string) bool {
	if allowed == "ANCHOR" || allowed == "TABLE" {
		return word != "" && len(word) <= maxName && word[0] != '-' && !strings.Contains(word, "\x00")
	}
	return allowed == word
}

func outputCall(command []string) call {
	return call{callOutput, strings.Join(command, "\x00")}
}

// Output keeps the answer.
func (r *Recorder) Output(command ...string) ([]byte, error) {
	text, err := r.host.Output(command...)
	if readCommand(command) == nil {
		r.keep(outputCall(command), text, err)
	}
	return text, err
}

// Output is what the command printed when the host was recorded.
func (r *Recording) Output(command ...string) ([]byte, error) {
	if err := readCommand(command); err != nil {
		return nil, err
	}
	return r.answer(outputCall(command), strings.Join(command, " "))
}
