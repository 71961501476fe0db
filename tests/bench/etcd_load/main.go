// etcd_load drives etcd through its own client as tests/bench/registry_load.c drives rayosd:
// the same modes, options and results, so that the harness (tests/bench/registry.py) asks both
// the same. Built by the harness with Debian's Go and clientv3.
//
//	etcd_load put|get|fill|probe|watch --endpoints A,B,C [options]
//
// put, get   a closed loop of --clients for --seconds, after a second that does not count
// fill       --count keys, each --times
// probe      a put every --every-ms for --seconds, whether or not those before have been
//
//	answered; a line for each answer: begin and end in microseconds of the wall clock
//
// watch      --clients watchers of one prefix, a put every --every-ms
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

const warmUp = time.Second

type options struct {
	mode      string
	endpoints []string
	clients   int
	conns     int
	seconds   float64
	size      int
	count     int
	times     int
	every     time.Duration
}

func die(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "etcd_load: "+format+"\n", args...)
	os.Exit(1)
}

func parse() options {
	var chosen options
	if len(os.Args) < 2 {
		die("which mode?")
	}
	chosen.mode = os.Args[1]
	flags := flag.NewFlagSet("etcd_load", flag.ExitOnError)
	endpoints := flags.String("endpoints", "", "host:port, with commas")
	everyMs := flags.Int("every-ms", 50, "")
	flags.IntVar(&chosen.clients, "clients", 1, "")
	flags.IntVar(&chosen.conns, "conns", 0, "connections that they share; 0: one for 64 clients")
	flags.Float64Var(&chosen.seconds, "seconds", 5, "")
	flags.IntVar(&chosen.size, "size", 256, "bytes of a value")
	flags.IntVar(&chosen.count, "count", 10000, "keys")
	flags.IntVar(&chosen.times, "times", 1, "that fill puts each key")
	_ = flags.Parse(os.Args[2:])
	chosen.endpoints = strings.Split(*endpoints, ",")
	chosen.every = time.Duration(*everyMs) * time.Millisecond
	if chosen.conns == 0 {
		chosen.conns = (chosen.clients + 63) / 64
	}
	return chosen
}

func dial(endpoints []string) *clientv3.Client {
	client, err := clientv3.New(clientv3.Config{
		Endpoints: endpoints, DialTimeout: 10 * time.Second, Logger: zap.NewNop()})
	if err != nil {
		die("%v", err)
	}
	return client
}

func dialAll(chosen options) []*clientv3.Client {
	conns := make([]*clientv3.Client, chosen.conns)
	for index := range conns {
		conns[index] = dial(chosen.endpoints)
	}
	return conns
}

func key(index int) string { return fmt.Sprintf("/rayos/guest/%08d", index) }

func value(size int) string { return strings.Repeat("v", size) }

// Latencies in milliseconds, of all clients together.
func report(samples []float64, took time.Duration) {
	sort.Float64s(samples)
	at := func(part float64) float64 {
		if len(samples) == 0 {
			return 0
		}
		return samples[min(len(samples)-1, int(part*float64(len(samples))))]
	}
	text, _ := json.Marshal(map[string]any{
		"count": len(samples), "ops_per_s": float64(len(samples)) / took.Seconds(),
		"p50_ms": at(0.50), "p99_ms": at(0.99), "max_ms": at(1)})
	fmt.Println(string(text))
}

func ms(length time.Duration) float64 { return float64(length.Microseconds()) / 1000 }

func once(conn *clientv3.Client, chosen options, text string, index int) error {
	var err error
	if chosen.mode == "get" {
		_, err = conn.Get(context.Background(), key(index))
	} else {
		_, err = conn.Put(context.Background(), key(index), text)
	}
	return err
}

func closedLoop(chosen options) {
	conns := dialAll(chosen)
	length := time.Duration(chosen.seconds * float64(time.Second))
	begin := time.Now().Add(warmUp)
	end := begin.Add(length)
	text := value(chosen.size)
	perClient := make([][]float64, chosen.clients)
	var group sync.WaitGroup
	for client := range perClient {
		group.Add(1)
		go func() {
			defer group.Done()
			index := client
			for {
				started := time.Now()
				if started.After(end) {
					return
				}
				if err := once(conns[client%len(conns)], chosen, text, index%chosen.count); err != nil {
					die("%s: %v", chosen.mode, err)
				}
				done := time.Now()
				if started.After(begin) && done.Before(end) {
					perClient[client] = append(perClient[client], ms(done.Sub(started)))
				}
				index += chosen.clients
			}
		}()
	}
	group.Wait()
	var all []float64
	for _, samples := range perClient {
		all = append(all, samples...)
	}
	report(all, length)
}

func fill(chosen options) {
	conns := dialAll(chosen)
	text := value(chosen.size)
	started := time.Now()
	var next atomic.Int64
	var group sync.WaitGroup
	for client := range chosen.clients {
		group.Add(1)
		go func() {
			defer group.Done()
			for {
				index := int(next.Add(1)) - 1
				if index >= chosen.count*chosen.times {
					return
				}
				if err := once(conns[client%len(conns)], chosen, text, index%chosen.count); err != nil {
					die("fill: %v", err)
				}
			}
		}()
	}
	group.Wait()
	count := chosen.count * chosen.times
	fmt.Printf("{\"count\": %d, \"ops_per_s\": %.1f}\n", count,
		float64(count)/time.Since(started).Seconds())
}

// One connection to each endpoint, each put to all of them in turn, so that one that has died
// or waits for it holds up its own share only.
func probe(chosen options) {
	conns := make([]*clientv3.Client, len(chosen.endpoints))
	for index, endpoint := range chosen.endpoints {
		conns[index] = dial([]string{endpoint})
	}
	text := value(chosen.size)
	end := time.Now().Add(time.Duration(chosen.seconds * float64(time.Second)))
	var output sync.Mutex
	for number := 0; time.Now().Before(end); number++ {
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			started := time.Now()
			if _, err := conns[number%len(conns)].Put(ctx, key(number%chosen.count), text); err == nil {
				output.Lock()
				fmt.Println(started.UnixMicro(), time.Now().UnixMicro())
				output.Unlock()
			}
		}()
		time.Sleep(chosen.every)
	}
}

func watch(chosen options) {
	conns := dialAll(chosen)
	const prefix = "/rayos/watched/"
	begin := time.Now()
	var mutex sync.Mutex
	var samples []float64
	var ready, seen sync.WaitGroup
	events := int(chosen.seconds * float64(time.Second) / float64(chosen.every))
	for client := range chosen.clients {
		ready.Add(1)
		seen.Add(events)
		go func() {
			feed := conns[client%len(conns)].Watch(context.Background(), prefix,
				clientv3.WithPrefix(), clientv3.WithCreatedNotify())
			var own []float64
			for answer := range feed {
				if answer.Created {
					ready.Done()
				}
				for _, event := range answer.Events {
					var sent int64
					fmt.Sscanf(string(event.Kv.Value), "%d", &sent)
					own = append(own, ms(time.Since(begin)-time.Duration(sent)))
					if len(own) == events {
						mutex.Lock()
						samples = append(samples, own...)
						mutex.Unlock()
					}
					seen.Done()
				}
			}
		}()
	}
	ready.Wait()
	writer := dial(chosen.endpoints)
	started := time.Now()
	for number := 0; number < events; number++ {
		text := fmt.Sprintf("%d ", time.Since(begin).Nanoseconds())
		text += value(chosen.size - len(text))
		if _, err := writer.Put(context.Background(), prefix+"key", text); err != nil {
			die("watch: %v", err)
		}
		time.Sleep(time.Until(started.Add(time.Duration(number+1) * chosen.every)))
	}
	seen.Wait()
	report(samples, time.Since(started))
}

func main() {
	chosen := parse()
	switch chosen.mode {
	case "put", "get":
		closedLoop(chosen)
	case "fill":
		fill(chosen)
	case "probe":
		probe(chosen)
	case "watch":
		watch(chosen)
	default:
		die("no mode %s", chosen.mode)
	}
}
