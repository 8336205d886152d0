// The reference from outside Node: grpc-go serves what ../src/rpc/servers serve.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"strconv"
	"syscall"

	inventory "emporium.example/bench/gen/emporium/inventory/v1"
	orders "emporium.example/bench/gen/emporium/orders/v1"
	money "emporium.example/bench/gen/google/type"
	"google.golang.org/grpc"
)

// Messages that it sends down a stream, as the bench tells each server.
var streamMessages = numberFrom("STREAM_MESSAGES")

type orderServer struct {
	orders.UnimplementedOrderServiceServer
}

func (orderServer) GetOrder(context.Context, *orders.GetOrderRequest) (*orders.GetOrderResponse, error) {
	return &orders.GetOrderResponse{Order: newOrder()}, nil
}

func (orderServer) ExportOrders(_ *orders.ExportOrdersRequest, stream grpc.ServerStreamingServer[orders.ExportOrdersResponse]) error {
	for range streamMessages {
		if err := stream.Send(&orders.ExportOrdersResponse{Order: newOrder()}); err != nil {
			return err
		}
	}
	return nil
}

type inventoryServer struct {
	inventory.UnimplementedInventoryServiceServer
}

func (inventoryServer) GetProduct(_ context.Context, request *inventory.GetProductRequest) (*inventory.GetProductResponse, error) {
	return &inventory.GetProductResponse{Product: &inventory.Product{Sku: request.Sku}}, nil
}

func (inventoryServer) ImportStock(stream grpc.ClientStreamingServer[inventory.ImportStockRequest, inventory.ImportStockResponse]) error {
	var received uint64
	for {
		entry, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return stream.SendAndClose(&inventory.ImportStockResponse{Received: received})
		}
		if err != nil {
			return err
		}
		if entry.Entry != nil {
			received++
		}
	}
}

func (inventoryServer) CountStock(stream grpc.BidiStreamingServer[inventory.CountStockRequest, inventory.CountStockResponse]) error {
	for {
		count, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		answer := &inventory.CountStockResponse{Sku: count.Sku, Outcome: inventory.CountOutcome_COUNT_OUTCOME_MATCHED}
		if err := stream.Send(answer); err != nil {
			return err
		}
	}
}

// The order made anew, as a handler would.
func newOrder() *orders.Order {
	return &orders.Order{
		OrderId:    "ord_01jd3v9q8kf2h9s5w3x1c7e4zt",
		CustomerId: "17850",
		State:      1,
		Lines: []*orders.OrderLine{
			line("85123A", "WHITE HANGING HEART T-LIGHT HOLDER", 6, 2, 550_000_000),
			line("71053", "WHITE METAL LANTERN", 6, 3, 390_000_000),
			line("84406B", "CREAM CUPID HEARTS COAT HANGER", 8, 2, 750_000_000),
			line("84029G", "KNITTED UNION FLAG HOT WATER BOTTLE", 6, 3, 390_000_000),
			line("84029E", "RED WOOLLY HOTTIE WHITE HEART.", 6, 3, 390_000_000),
		},
		Total:      &money.Money{CurrencyCode: "GBP", Units: 98, Nanos: 320_000_000},
		CheckoutId: "chk_01jd3v9q8kf2h9s5w3x1c7e4zt",
		Revision:   1,
	}
}

func line(sku, title string, quantity, units int64, nanos int32) *orders.OrderLine {
	price := &money.Money{CurrencyCode: "GBP", Units: units, Nanos: nanos}
	return &orders.OrderLine{Sku: sku, Title: title, Quantity: quantity, UnitPrice: price}
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer()
	orders.RegisterOrderServiceServer(server, orderServer{})
	inventory.RegisterInventoryServiceServer(server, inventoryServer{})
	go talk(listener.Addr().(*net.TCPAddr).Port)
	log.Fatal(server.Serve(listener))
}

// Speaks with the bench over Node's channel, a line of JSON each way; ends with it.
func talk(port int) {
	channel := os.NewFile(uintptr(numberFrom("NODE_CHANNEL_FD")), "channel")
	fmt.Fprintf(channel, "{\"port\":%d}\n", port)
	for asked := bufio.NewScanner(channel); asked.Scan(); {
		var used syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
			log.Fatal(err)
		}
		micros := (used.Utime.Nano() + used.Stime.Nano()) / 1000
		// Linux counts the peak in kibibytes.
		fmt.Fprintf(channel, "{\"cpuMicros\":%d,\"rss\":%d}\n", micros, used.Maxrss*1024)
	}
	os.Exit(0)
}

func numberFrom(variable string) int {
	number, err := strconv.Atoi(os.Getenv(variable))
	if err != nil {
		log.Fatal("only the bench starts this: ", err)
	}
	return number
}
