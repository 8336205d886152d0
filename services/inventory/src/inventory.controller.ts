import {
  type CheckStockRequest,
  type CommitReservationRequest,
  type CountStockRequest,
  type GetProductRequest,
  type ImportStockRequest,
  InventoryService,
  type ListProductsRequest,
  type ReleaseReservationRequest,
  type ReserveStockRequest,
  type UpdateProductRequest,
  type WatchStockRequest,
} from "@emporium/contracts/inventory/v1";
import { GrpcController, type HandlerContext, type ServiceImpl } from "@emporium/grpc";
import { Catalogue } from "./catalogue.js";
import { Imports } from "./imports.js";
import { Reservations } from "./reservations.js";
import { StockTaking } from "./stock-taking.js";
import { StockWatch } from "./stock-watch.js";

/** InventoryService: messages in, answers out; the rules stand in the files of the nouns. */
@GrpcController(InventoryService)
export class InventoryController implements ServiceImpl<typeof InventoryService> {
  constructor(
    private readonly catalogue: Catalogue,
    private readonly reservations: Reservations,
    private readonly stockWatch: StockWatch,
    private readonly imports: Imports,
    private readonly stockTaking: StockTaking,
  ) {}

  listProducts(request: ListProductsRequest, { signal }: HandlerContext) {
    return this.catalogue.list(request, signal);
  }

  async getProduct({ sku }: GetProductRequest, { signal }: HandlerContext) {
    const { product, level } = await this.catalogue.get(sku, signal);
    return { product, level };
  }

  async updateProduct(request: UpdateProductRequest, { signal }: HandlerContext) {
    const { product, updateMask, allowMissing } = request;
    if (!product) throw new Error("The contract requires a product");
    const change = { mask: updateMask?.paths, allowMissing };
    return { product: await this.catalogue.update(product, change, signal) };
  }

  async checkStock({ skus }: CheckStockRequest, { signal }: HandlerContext) {
    return { items: await this.catalogue.check(skus, signal) };
  }

  async reserveStock({ reservationId, lines }: ReserveStockRequest, { signal }: HandlerContext) {
    return { reservation: await this.reservations.reserve(reservationId, lines, signal) };
  }

  async commitReservation({ reservationId }: CommitReservationRequest, { signal }: HandlerContext) {
    return { reservation: await this.reservations.commit(reservationId, signal) };
  }

  async releaseReservation(
    { reservationId }: ReleaseReservationRequest,
    { signal }: HandlerContext,
  ) {
    return { reservation: await this.reservations.release(reservationId, signal) };
  }

  watchStock(request: WatchStockRequest, { signal }: HandlerContext) {
    return this.stockWatch.watch(request, signal);
  }

  importStock(requests: AsyncIterable<ImportStockRequest>, { signal }: HandlerContext) {
    return this.imports.run(requests, signal);
  }

  countStock(requests: AsyncIterable<CountStockRequest>, { signal }: HandlerContext) {
    return this.stockTaking.answer(requests, signal);
  }
}
