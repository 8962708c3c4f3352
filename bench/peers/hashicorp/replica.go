// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
)

const (
	// entries gathered into one append; the default is 64, the most 1,024: more than this was no faster
	appendEntriesMax = 256
	// entries kept in memory in front of the Bolt store, so that followers are served from there
	logCache = 16384
	tcpPool  = 3
)

// The state machine: commands applied.
type counter struct{ applied uint64 }

func (c *counter) Apply(*raft.Log) interface{} {
	c.applied++
	return nil
}

// ApplyBatch is what a state machine has that takes what was committed together.
func (c *counter) ApplyBatch(logs []*raft.Log) []interface{} {
	c.applied += uint64(len(logs))
	return make([]interface{}, len(logs))
}

func (c *counter) Snapshot() (raft.FSMSnapshot, error) { return &image{c.applied}, nil }

func (c *counter) Restore(from io.ReadCloser) error {
	defer from.Close()
	return json.NewDecoder(from).Decode(&c.applied)
}

type image struct{ applied uint64 }

func (i *image) Persist(sink raft.SnapshotSink) error {
	if err := json.NewEncoder(sink).Encode(i.applied); err != nil {
		_ = sink.Cancel()
		return err
	}
	return sink.Close()
}

func (i *image) Release() {}

// What counts the clients' operations; each client has a histogram of its own until the end.
type load struct {
	raft      *raft.Raft
	value     []byte
	measuring atomic.Bool
	stopping  atomic.Bool
	clients   sync.WaitGroup
	mutex     sync.Mutex
	result    result
}

func (l *load) client() {
	defer l.clients.Done()
	var mine result
	for !l.stopping.Load() {
		began := time.Now()
		if err := l.raft.Apply(l.value, patience).Error(); err != nil {
			mine.Failure = err.Error()
			break
		}
		if l.measuring.Load() {
			mine.Operations++
			mine.Latency.record(time.Since(began))
		}
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.result.add(&mine)
}

func open(number int, ports []string, place string) (*raft.Raft, error) {
	if err := os.MkdirAll(place, 0o700); err != nil {
		return nil, err
	}
	config := raft.DefaultConfig()
	config.LocalID = raft.ServerID(fmt.Sprint(number))
	config.Logger = hclog.NewNullLogger()
	config.MaxAppendEntries = appendEntriesMax
	config.BatchApplyCh = true
	store, err := raftboltdb.New(raftboltdb.Options{
		Path:        filepath.Join(place, "raft.db"),
		BoltOptions: &bbolt.Options{NoFreelistSync: true, FreelistType: bbolt.FreelistMapType},
	})
	if err != nil {
		return nil, err
	}
	cache, err := raft.NewLogCache(logCache, store)
	if err != nil {
		return nil, err
	}
	snapshots, err := raft.NewFileSnapshotStore(place, 1, io.Discard)
	if err != nil {
		return nil, err
	}
	address := net.JoinHostPort("127.0.0.1", ports[number-1])
	transport, err := raft.NewTCPTransport(address, nil, tcpPool, 10*time.Second, io.Discard)
	if err != nil {
		return nil, err
	}
	if number == 1 {
		var servers []raft.Server
		for i, port := range ports {
			servers = append(servers, raft.Server{ID: raft.ServerID(fmt.Sprint(i + 1)),
				Address: raft.ServerAddress(net.JoinHostPort("127.0.0.1", port))})
		}
		if err := raft.BootstrapCluster(config, cache, store, snapshots, transport, raft.Configuration{Servers: servers}); err != nil {
			return nil, err
		}
	}
	return raft.NewRaft(config, &counter{}, cache, store, snapshots, transport)
}

// Says "ready" as the leader of all, or as the follower of someone.
func awaitLeader(r *raft.Raft, number int) error {
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		if number == 1 && r.State() == raft.Leader {
			return r.Barrier(patience).Error()
		}
		if address, _ := r.LeaderWithID(); number > 1 && address != "" {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("no leader came forth")
}

func serve(s *settings, number int, ports []string) error {
	r, err := open(number, ports, s.Dir)
	if err != nil {
		return err
	}
	if err := awaitLeader(r, number); err != nil {
		return err
	}
	fmt.Println("ready")
	l := &load{raft: r, value: make([]byte, s.Value)}
	var before usage
	var since time.Time
	words := bufio.NewScanner(os.Stdin)
	for words.Scan() {
		switch strings.TrimSpace(words.Text()) {
		case "start":
			for i := 0; number == 1 && i < s.Clients; i++ {
				l.clients.Add(1)
				go l.client()
			}
		case "measure":
			before, since = readUsage(), time.Now()
			l.measuring.Store(true)
		case "stop":
			l.measuring.Store(false)
			if number == 1 {
				l.result.Seconds = time.Since(since).Seconds()
			}
			l.result.Usage = readUsage().since(before)
			l.stopping.Store(true)
			l.clients.Wait()
			if err := json.NewEncoder(os.Stdout).Encode(&l.result); err != nil {
				return err
			}
			// and on, until the parent has heard the leader too, whose last operations need the others
		}
	}
	return words.Err()
}
