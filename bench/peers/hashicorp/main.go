// SPDX-License-Identifier: Apache-2.0

// `lash-bench commit` on hashicorp/raft with its Bolt store and TCP transport: one process per replica, a state machine
// that counts, clients in the leader's process with one operation outstanding each, and the same last line of JSON.
//
// The parent starts itself once per replica, and leads them through the phases over their standard input and output,
// a line each: ready, start, measure, stop, and the stopped replica's result as JSON; then it ends them.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// What both parent and replicas are told by flags.
type settings struct {
	Replicas int
	Clients  int
	Value    int
	Seconds  float64
	WarmUp   float64
	Dir      string
}

type member struct {
	command *exec.Cmd
	words   io.WriteCloser
	lines   chan string
}

const patience = 30 * time.Second

func main() {
	var s settings
	number := flag.Int("replica", 0, "")
	ports := flag.String("ports", "", "")
	flag.IntVar(&s.Replicas, "replicas", 3, "processes")
	flag.IntVar(&s.Clients, "clients", 1024, "operations outstanding")
	flag.IntVar(&s.Value, "value", 256, "bytes of each value")
	flag.Float64Var(&s.Seconds, "seconds", 10, "how long to measure")
	flag.Float64Var(&s.WarmUp, "warm-up", 1, "how long not to measure before that")
	flag.StringVar(&s.Dir, "dir", base(), "where to make a directory for the files")
	flag.Parse()
	var err error
	if *number > 0 {
		err = serve(&s, *number, strings.Split(*ports, ","))
	} else {
		var results []result
		if results, err = lead(&s); err == nil {
			err = report(&s, results) // once all is cleared away: whoever reads it may go early
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "hashicorp:", err)
		os.Exit(1)
	}
}

// The directory that lash-bench would take: on a disk, not in memory.
func base() string {
	if dir := os.Getenv("TMPDIR"); dir != "" {
		return dir
	}
	return "/var/tmp"
}

// Ports that nobody uses.
func choosePorts(count int) ([]string, error) {
	var ports []string
	for i := 0; i < count; i++ {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer listener.Close()
		_, port, _ := net.SplitHostPort(listener.Addr().String())
		ports = append(ports, port)
	}
	return ports, nil
}

// Clear away what an interrupted run leaves; its replicas end with it.
func clearWhenInterrupted(place string) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		_ = os.RemoveAll(place)
		os.Exit(1)
	}()
}

func lead(s *settings) ([]result, error) {
	place, err := os.MkdirTemp(s.Dir, "bench-hashicorp-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(place)
	clearWhenInterrupted(place)
	ports, err := choosePorts(s.Replicas)
	if err != nil {
		return nil, err
	}
	var members []*member
	defer func() {
		for _, m := range members {
			_ = m.command.Process.Kill()
			_ = m.command.Wait()
		}
	}()
	for i := 1; i <= s.Replicas; i++ {
		m, err := begin(s, i, filepath.Join(place, fmt.Sprint(i)), strings.Join(ports, ","))
		if err != nil {
			return nil, err
		}
		members = append(members, m)
	}
	return phases(s, members)
}

func begin(s *settings, number int, place, ports string) (*member, error) {
	command := exec.Command("/proc/self/exe", "-replica", fmt.Sprint(number), "-ports", ports,
		"-replicas", fmt.Sprint(s.Replicas), "-clients", fmt.Sprint(s.Clients), "-value", fmt.Sprint(s.Value), "-dir", place)
	command.Stderr = os.Stderr
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	words, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	output, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	m := &member{command: command, words: words, lines: make(chan string, 8)}
	go func() {
		defer close(m.lines)
		reader := bufio.NewReaderSize(output, 1<<20)
		for {
			line, err := reader.ReadString('\n')
			if err != nil {
				return
			}
			m.lines <- strings.TrimSpace(line)
		}
	}()
	return m, nil
}

func (m *member) hear(deadline time.Time) (string, error) {
	select {
	case line, open := <-m.lines:
		if !open {
			return "", fmt.Errorf("a replica has ended early")
		}
		return line, nil
	case <-time.After(time.Until(deadline)):
		return "", fmt.Errorf("a replica does not answer")
	}
}

// Replica 1 bootstraps and leads.
func phases(s *settings, members []*member) ([]result, error) {
	tell := func(word string) error {
		for _, m := range members {
			if _, err := io.WriteString(m.words, word+"\n"); err != nil {
				return err
			}
		}
		return nil
	}
	for _, m := range members {
		if _, err := m.hear(time.Now().Add(patience)); err != nil {
			return nil, err
		}
	}
	if err := tell("start"); err != nil {
		return nil, err
	}
	time.Sleep(time.Duration(s.WarmUp * float64(time.Second)))
	if err := tell("measure"); err != nil {
		return nil, err
	}
	time.Sleep(time.Duration(s.Seconds * float64(time.Second)))
	if err := tell("stop"); err != nil {
		return nil, err
	}
	results := make([]result, len(members))
	for i, m := range members {
		line, err := m.hear(time.Now().Add(patience))
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(line), &results[i]); err != nil {
			return nil, err
		}
	}
	return results, nil
}

func report(s *settings, results []result) error {
	var total result
	for _, r := range results {
		total.add(&r)
	}
	if total.Failure != "" {
		return fmt.Errorf("operations failed: %s", total.Failure)
	}
	operations := max(float64(total.Operations), 1)
	rate := float64(total.Operations) / total.Seconds
	micro := func(fraction float64) float64 { return float64(total.Latency.quantile(fraction)) / 1e3 }
	fmt.Printf("hashicorp: %d replicas, %d clients, %d bytes: %.0f operations a second; 50 %% within %.0f us, 99 %% within %.0f us\n",
		s.Replicas, s.Clients, s.Value, rate, micro(0.5), micro(0.99))
	fmt.Printf("{\"bench\": \"hashicorp\", \"replicas\": %d, \"clients\": %d, \"value\": %d, \"seconds\": %.3f, "+
		"\"operations\": %d, \"ops_per_second\": %.1f, \"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, "+
		"\"cpu_us_per_op\": %.3f, \"syscalls_per_op\": %.3f, \"bytes_written_per_op\": %.3f, \"max_rss\": %d}\n",
		s.Replicas, s.Clients, s.Value, total.Seconds, total.Operations, rate, micro(0.5), micro(0.99), micro(0.999),
		float64(total.Usage.CPU)/1e3/operations, float64(total.Usage.Transfers)/operations,
		float64(total.Usage.Written)/operations, total.Usage.MaxRSS)
	return nil
}
