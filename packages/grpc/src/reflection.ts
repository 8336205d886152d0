import { type DescFile, type DescService, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Code, type ServiceImpl } from "@connectrpc/connect";
import type {
  ServerReflection,
  ServerReflectionRequest,
} from "@emporium/contracts/grpc/reflection/v1";

/**
 * Server reflection from the descriptors in memory (grpc.reflection.v1, and v1alpha, whose messages
 * are the same): what grpcurl and `buf curl` ask to learn the contract.
 */
export class Reflection {
  #files = new Map<string, DescFile>();
  #symbols = new Map<string, DescFile>();
  #services: string[];

  constructor(services: DescService[]) {
    this.#services = services.map(({ typeName }) => typeName);
    for (const { file } of services) this.#addFile(file);
  }

  /** The handlers of both versions of the service. */
  readonly handlers: ServiceImpl<typeof ServerReflection> = {
    serverReflectionInfo: (requests) => this.#answers(requests),
  };

  async *#answers(requests: AsyncIterable<ServerReflectionRequest>) {
    for await (const request of requests)
      yield {
        validHost: request.host,
        originalRequest: request,
        messageResponse: this.#answer(request.messageRequest),
      };
  }

  #answer({ case: asked, value }: ServerReflectionRequest["messageRequest"]) {
    switch (asked) {
      case "listServices": {
        const service = this.#services.map((name) => ({ name }));
        return { case: "listServicesResponse" as const, value: { service } };
      }
      case "fileByFilename":
        return found(this.#files.get(value), value);
      case "fileContainingSymbol":
        return found(this.#symbols.get(value), value);
      case "fileContainingExtension": {
        const { containingType, extensionNumber } = value;
        return found(
          this.#symbols.get(extensionKey(containingType, extensionNumber)),
          `${containingType}/${extensionNumber}`,
        );
      }
      case "allExtensionNumbersOfType": {
        const prefix = extensionKey(value, "");
        const extensionNumber = [...this.#symbols.keys()]
          .filter((key) => key.startsWith(prefix))
          .map((key) => Number(key.slice(prefix.length)));
        if (extensionNumber.length === 0 && !this.#symbols.has(value)) return missing(value);
        return {
          case: "allExtensionNumbersResponse" as const,
          value: { baseTypeName: value, extensionNumber },
        };
      }
      default:
        return {
          case: "errorResponse" as const,
          value: { errorCode: Code.InvalidArgument, errorMessage: "The request asks nothing" },
        };
    }
  }

  #addFile(file: DescFile): void {
    if (this.#files.has(file.proto.name)) return;
    this.#files.set(file.proto.name, file);
    for (const dependency of file.dependencies) this.#addFile(dependency);
    for (const type of [...file.messages, ...file.enums, ...file.services])
      this.#addType(type, file);
    for (const extension of file.extensions) {
      this.#symbols.set(extension.typeName, file);
      this.#symbols.set(extensionKey(extension.extendee.typeName, extension.number), file);
    }
  }

  #addType(type: DescFile["messages" | "enums" | "services"][number], file: DescFile): void {
    this.#symbols.set(type.typeName, file);
    if (type.kind === "message") {
      for (const nested of [...type.nestedMessages, ...type.nestedEnums])
        this.#addType(nested, file);
      for (const field of type.fields) this.#symbols.set(`${type.typeName}.${field.name}`, file);
    }
    if (type.kind === "service")
      for (const method of type.methods) this.#symbols.set(`${type.typeName}.${method.name}`, file);
  }
}

function extensionKey(type: string, number: number | string): string {
  return `${type}#${number}`;
}

/** The file and all that it imports, so that one question is enough. */
function found(file: DescFile | undefined, asked: string) {
  if (!file) return missing(asked);
  const files = new Map<string, Uint8Array>();
  const add = (next: DescFile) => {
    if (files.has(next.proto.name)) return;
    files.set(next.proto.name, toBinary(FileDescriptorProtoSchema, next.proto));
    next.dependencies.forEach(add);
  };
  add(file);
  return {
    case: "fileDescriptorResponse" as const,
    value: { fileDescriptorProto: [...files.values()] },
  };
}

function missing(asked: string) {
  return {
    case: "errorResponse" as const,
    value: { errorCode: Code.NotFound, errorMessage: `${asked} is not known here` },
  };
}
