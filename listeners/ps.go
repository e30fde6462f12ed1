package listeners

import (
	"strconv"
	"strings"
	"time"
)

// What ps(1) of all three systems tells of all processes, without headings: each has an
// option of its own, since a heading goes on to the end of its option (POSIX ps). The
// last column may hold blanks, so there is one of that kind in each run.
var (
	psFacts      = []string{"ps", "-axww", "-o", "pid=", "-o", "uid=", "-o", "user=", "-o", "lstart=", "-o", "ucomm="}
	psCommand    = []string{"ps", "-axww", "-o", "pid=", "-o", "command="}
	psExecutable = []string{"ps", "-axww", "-o", "pid=", "-o", "comm="} // a path on macOS alone
)

// psTime is how lstart prints a time in the C locale, in UTC: %c of strftime(3).
const psTime = "Mon Jan 2 15:04:05 2006"

// readPS reads what processes are: their user is the effective one. Arguments are
// told apart by blanks, so one that holds a blank is two here.
func readPS(host BSDHost) (map[int]Process, error) {
	facts, err := host.Output(psFacts...)
	if err != nil {
		return nil, err
	}
	processes := parsePSFacts(facts)
	if text, err := host.Output(psCommand...); err == nil {
		eachPSLine(text, processes, func(p *Process, rest string) {
			p.Command = strings.Fields(rest[:min(len(rest), maxCommandLine)])
		})
	}
	if host.OS() != "darwin" {
		return processes, nil
	}
	if text, err := host.Output(psExecutable...); err == nil {
		eachPSLine(text, processes, func(p *Process, rest string) {
			if strings.HasPrefix(rest, "/") {
				p.Executable = rest
			}
		})
	}
	return processes, nil
}

// parsePSFacts reads "pid uid user lstart ucomm"; lines of another form are skipped.
func parsePSFacts(text []byte) map[int]Process {
	processes := make(map[int]Process)
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		const name = 8 // pid, uid, user, five of the time
		if len(words) <= name {
			continue
		}
		pid, err1 := strconv.Atoi(words[0])
		uid, err2 := strconv.ParseUint(words[1], 10, 32)
		started, err3 := time.Parse(psTime, strings.Join(words[3:name], " "))
		if err1 != nil || err2 != nil || err3 != nil || pid < 0 {
			continue
		}
		p := Process{PID: pid, UID: uint32(uid), Name: strings.Join(words[name:], " "), Started: started.UTC()}
		if words[2] != words[1] { // a number: it has no name
			p.User = words[2]
		}
		processes[pid] = p
	}
	return processes
}

// eachPSLine calls f for the lines of known processes, with what follows the pid.
func eachPSLine(text []byte, processes map[int]Process, f func(p *Process, rest string)) {
	for line := range strings.Lines(string(text)) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		pid, err := strconv.Atoi(word)
		p, known := processes[pid]
		if err != nil || !known {
			continue
		}
		f(&p, strings.TrimSpace(rest))
		processes[pid] = p
	}
}
